"""Runs a sweep: every repetition of every point of a grid, one row each."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

from ioi_exec import InputError, InputTypeError
from ioi_exec.execution.executors import SharedPools
from ioi_stress.interruption import held
from ioi_stress.plan import Plan
from ioi_stress.refusals import refusing
from ioi_stress.running.measure import measure
from ioi_stress.running.verify import on_by_default
from ioi_stress.simulation.costs import Costs
from ioi_stress.simulation.plays import SEEDS, WORKERS
from ioi_stress.sweeps.file import SweepFile, columns_of
from ioi_stress.sweeps.grid import Grid, Point, WorkloadMaker
from ioi_stress.sweeps.paper import paper
from ioi_stress.sweeps.progress import progress as shown_progress
from ioi_stress.sweeps.rows import Row, as_text, row_of
from ioi_stress.sweeps.simulated import FACTORS, Player, check_workers, checked
from ioi_stress.sweeps.sweep import Sweep, divergences

REPEAT = 30
PAPER = "paper"
"""In place of a workload: the grid of the Block-STM paper's evaluation."""


@refusing
def sweep(
    workload: str | WorkloadMaker,
    *,
    workers: Any = None,
    policy: Any = None,
    repeat: int | None = None,
    warmup: int = Plan.warmup,
    sequential: bool = True,
    verify: bool | None = None,
    tree: str = Plan.tree,
    state: str | None = None,
    pin: bool = True,
    simulated: bool = False,
    costs: Costs | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **grid: Any,
) -> Sweep:
    """Measure a workload over a grid of its parameters, workers and policies: a row for every repetition of a point.

        ioi_stress.sweep("zipf", s=[0.5, 1.0, 1.5], accounts=10_000, workers=[1, 2, 4], output="zipf.csv")

    workload: a name of `ioi_stress.workloads.WORKLOADS`, or a function that takes the grid's parameters and returns a
    Workload; it may be one of a notebook's, and so may the workload's VM. It is called once for each combination of
    them, before anything is run. "paper": the grid of the Block-STM paper, or with quick=True a small one like it.
    grid: the workload's parameters. A list, tuple, range or array is an axis; anything else is fixed.
    workers, policy: as `ioi_stress.run` takes them, or several. repeat: rows of each point (None: 30; as many as the paper's).
    simulated: nothing is measured: the engine's scheduler runs in virtual time as `ioi_stress.simulate` has it, for 1 to 128 workers
    unless others are given, on a machine of these costs (None: a server's, `Costs()`; the rows say them). repeat: seeds then (None: 8),
    of three rows each, with cache lines as assumed, at half and at twice that. The same grid gives the same rows on any machine,
    unless its transactions had to be executed here to know what they read, write and take, as those of other VMs.
    output: CSV to append each row to as soon as it is measured. If it holds rows of this grid, they are not run again,
    whatever interrupted it, and more repetitions than before go on where it ended; a file of another grid is refused.
    progress: True: show it on standard error; None: where that is a terminal or this is a notebook. The others: as in Plan; verify
    None: on, unless `sequential` is off and that would take long.

    Each point is first run `warmup` times unmeasured; workers live on from row to row. Ctrl-C ends it with the
    rows so far and `interrupted`. Raises InputError or InputTypeError for what cannot be a grid before anything is run,
    StateInUse if another sweep writes `output`, and the engine's errors; the rows measured before are in `output`.
    """
    plan = Plan(warmup=warmup, sequential=sequential, tree=tree, state=state, pin=pin)
    assumed = checked(costs, simulated, plan, verify)
    made, times = grid_of(workload, grid, workers, policy, repeat, plan, verify, assumed)
    return run(made, times, output, progress)


def grid_of(
    workload: str | WorkloadMaker, parameters: Mapping[str, Any], workers: Any, policy: Any, repeat: int | None, plan: Plan,
    verify: bool | None, costs: Costs | None = None,
) -> tuple[Grid, int]:
    """The grid and the repetitions of what `sweep` was given."""
    if repeat is not None and (isinstance(repeat, bool) or not isinstance(repeat, int)):
        raise InputTypeError(f"repeat is {type(repeat).__name__}: give an integer")
    if repeat is not None and repeat < 1:
        raise InputError(f"repeat is {repeat}: give at least 1")
    if workload == PAPER:
        if unknown := set(parameters) - {"quick"}:
            raise InputError(f"the paper's grid is what it is, and takes no {', '.join(sorted(unknown))}: only quick=True")
        given = paper(**parameters, simulated=costs is not None)
        parameters = {name: value for name, value in given.items() if name not in ("workload", "repeat", "workers")}
        workload, workers = given["workload"], given["workers"] if workers is None else workers
        repeat = given["repeat"] if repeat is None else repeat
    if costs is not None and workers is None:
        workers = list(WORKERS)
    grid = Grid.of(workload, parameters, workers, "default" if policy is None else policy, plan, costs)
    if costs is not None:
        check_workers(grid.workers)
        return grid, len(FACTORS) * (SEEDS if repeat is None else repeat)
    if verify is None:
        verify = all(on_by_default(grid.workload_of(point), plan.sequential) for point in grid.points)
    times = REPEAT if repeat is None else repeat
    return replace(grid, plan=replace(plan, verify=verify, repeat=times)), times


def run(grid: Grid, repeat: int, file: str | os.PathLike[str] | None = None, progress: bool | None = None) -> Sweep:
    """The same for a grid that is made already."""
    with nullcontext() if file is None else SweepFile(file, grid) as opened:
        rows = [] if opened is None else _typed(opened.rows, grid)
        done = set() if opened is None else opened.done
        points = {point.key: point for point in grid.points}
        found = Sweep(
            rows, list(grid.axes), repeat * len(points), len(rows), file=None if file is None else os.fspath(file)
        )
        todo = [
            (repetition, point)
            for repetition, shuffled in grid.rounds(repeat)
            for point in shuffled
            if (*point.key, str(repetition)) not in done
        ]
        blank = dict.fromkeys(columns_of(grid.axes, grid.costs is not None))
        try:
            with (
                shown_progress(progress, len(rows) + len(todo), len(rows)) as show,
                closing(_runner(grid)) as runner,
                closing(runner.rows(todo)) as measured,
            ):
                for number, (_, point) in enumerate(todo, len(rows)):
                    show(number, describe(point, grid))
                    row = {**blank, **next(measured)}
                    with held():
                        if opened is not None:
                            opened.append(row)
                        rows.append(row)
                show(len(rows), "")
        except KeyboardInterrupt:
            found.interrupted = True
        found.diverged = divergences(rows, found.parameters)
        return found


def describe(point: Point, grid: Grid) -> str:
    """What of it varies in the grid."""
    values = point.columns
    axes = {**grid.axes, "workers": grid.workers, "policy": grid.policies}
    return ", ".join(f"{name} {as_text(values[name])}" for name, axis in axes.items() if len(axis) > 1)


def _typed(rows: list[Row], grid: Grid) -> list[Row]:
    """Rows of a file with the grid's own values, which may be text that looks like a number."""
    values = {name: {as_text(value): value for value in axis} for name, axis in grid.axes.items()}
    for row in rows:
        row.update({name: known[as_text(row[name])] for name, known in values.items() if as_text(row[name]) in known})
    return rows


def _runner(grid: Grid) -> _Runner | Player:
    return _Runner(grid) if grid.costs is None else Player(grid, grid.costs)


class _Runner:
    """Measures one repetition at a time, with workers that live on from one to the next."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._pools = SharedPools()
        self._warm: set[tuple[str, ...]] = set()

    def rows(self, todo: Sequence[tuple[int, Point]]) -> Generator[Row, None, None]:
        for repetition, point in todo:
            yield self._row(point, repetition)

    def _row(self, point: Point, repetition: int) -> Row:
        """Raises KeyboardInterrupt if it was interrupted: half a repetition is none."""
        warmup = 0 if point.key in self._warm else self._grid.plan.warmup
        plan = replace(self._grid.plan, workers=point.workers, policy=point.policy, repeat=1, warmup=warmup)
        workload = self._grid.workload_of(point)
        result = measure(workload, plan, pools=self._pools)
        if result.interrupted:
            raise KeyboardInterrupt
        self._warm.add(point.key)
        return {
            "workload": workload.name,
            **point.columns,
            **row_of(result),
            "repetition": repetition,
            "grid": self._grid.identity,
        }

    def close(self) -> None:
        with held():
            self._pools.close()
