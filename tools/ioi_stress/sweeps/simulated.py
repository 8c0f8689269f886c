"""The rows of a simulated sweep: a point in virtual time, in place of a measured one.

A row is one play of all blocks of the workload. Every seed is three of them: with cache lines as assumed, at half, and at twice that, so
that the median of a point is what is expected, and the least and the greatest how far off that may be, the worst seed included. Virtual
time is no sample of anything: its intervals are from the least to the greatest, and nothing is tested for significance.
"""

from __future__ import annotations

import statistics
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ioi_exec import InputError
from ioi_stress.plan import Plan
from ioi_stress.results.interval import Interval
from ioi_stress.simulation.blocks import block_of
from ioi_stress.simulation.costs import Costs
from ioi_stress.simulation.plays import WORKERS_MAX, on_all_cores, once
from ioi_stress.simulation.result import CAVEAT, believed
from ioi_stress.sweeps.rows import MODE_SIMULATED, Row

if TYPE_CHECKING:
    from ioi_stress.sweeps.grid import Grid, Point

FACTORS = (1.0, 0.5, 2.0)
"""Of a cache line, one a row; then comes the next seed."""
_FIXED = ("sequential", "tree", "state", "pin", "warmup")


def checked(costs: Costs | None, simulated: bool, plan: Plan, verify: bool | None) -> Costs | None:
    """What is assumed, None if nothing is simulated. Raises InputError for what simulations have not."""
    if not simulated:
        if costs is not None:
            raise InputError("costs are those of a simulated machine: they need simulated=True (--simulated)")
        return None
    others = [name for name in _FIXED if getattr(plan, name) != getattr(Plan, name)] + (["verify"] if verify is not None else [])
    if others:
        raise InputError(f"nothing is executed by a simulated sweep, so it takes no {', '.join(others)}: leave that out")
    return costs or Costs()


def check_workers(counts: Iterable[int]) -> None:
    for count in counts:
        if not 1 <= count <= WORKERS_MAX:
            raise InputError(f"workers: {count}: simulated are 1 to {WORKERS_MAX}")


def machine_of(costs: Costs) -> str:
    """What stands in the column `machine`: the assumptions."""
    return "simulated: " + " ".join(f"{name}={value}" for name, value in costs.to_json().items())


class Player:
    """Plays rows on all cores."""

    def __init__(self, grid: Grid, costs: Costs) -> None:
        self._grid, self._costs = grid, costs
        self._blocks: dict[tuple[Any, ...], list[object]] = {}

    def rows(self, todo: Sequence[tuple[int, Point]]) -> Generator[Row, None, None]:
        """Of (repetition, point). Raises SimulationFailed, and the engine's errors where blocks have to be executed to know what they read
        and write."""
        for _, point in todo:
            key = tuple(point.parameters.values())
            if key not in self._blocks:
                blocks = self._grid.workload_of(point).blocks()
                self._blocks[key] = [block_of(self._grid.workload_of(point), number, self._costs) for number, _ in enumerate(blocks)]

        def row(place: int) -> Row:
            repetition, point = todo[place]
            return self._row(point, repetition)

        with on_all_cores(row) as play:
            yield from play(range(len(todo)))

    def _row(self, point: Point, repetition: int) -> Row:
        workload = self._grid.workload_of(point)
        seed, which = divmod(repetition - 1, len(FACTORS))
        costs = self._costs.lines_at(FACTORS[which])
        totals = dict.fromkeys(("elapsed", "executed", "moving", "executions", "aborts", "suspensions", "validations"), 0)
        sequential = 0
        for prepared in self._blocks[tuple(point.parameters.values())]:
            one_by_one, play = once(prepared, point.workers, point.policy, seed + 1, costs)
            sequential += one_by_one
            totals = {name: value + getattr(play, name) for name, value in totals.items()}
        transactions = sum(len(block.txs) for block in workload.blocks())
        elapsed = totals["elapsed"]
        counts = ("executions", "aborts", "suspensions", "validations")
        return {
            "workload": workload.name,
            **point.columns,
            "executed_transactions": transactions,
            "transactions_per_second": transactions / (elapsed / 1e9),
            "execute_seconds": elapsed / 1e9,
            **{f"{name}_per_transaction": totals[name] / transactions for name in counts},
            "speedup": sequential / elapsed,
            "executing_seconds": elapsed / 1e9,
            "sequential_executing_seconds": sequential / 1e9,
            "occupancy": totals["executed"] / (point.workers * elapsed),
            "mode": MODE_SIMULATED,
            "verified": True,
            "state_root": "",
            "receipts_root": "",
            "machine": machine_of(self._costs),
            "line_ns": costs.line,
            "line_busy": totals["moving"] / elapsed,
            "repetition": repetition,
            "grid": self._grid.identity,
        }

    def close(self) -> None:
        self._blocks.clear()


# ---- what the rows say -------------------------------------------------------------------------------------------------


def is_simulated(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["mode"] == MODE_SIMULATED for row in rows)


def interval_of(rows: Sequence[Mapping[str, Any]], measured: Sequence[float]) -> Interval:
    """Of values of these rows: with 95 % confidence, or from the least to the greatest where they are simulated."""
    return Interval.whole(measured) if is_simulated(rows) else Interval.of(measured)


def unpredictable(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> set[tuple[Any, ...]]:
    """Points, by the values of `names` (those of `point_columns`), at which the scheduler's cache lines are busy more than half of the
    time, or are with fewer workers and all else the same."""
    others = [name for name in names if name != "workers"]
    curves: dict[tuple[Any, ...], dict[int, list[float]]] = {}
    for row in rows:
        if row["mode"] == MODE_SIMULATED:
            curves.setdefault(tuple(row[name] for name in others), {}).setdefault(row["workers"], []).append(row["line_busy"])
    found = set()
    for curve, counts in curves.items():
        can = believed({workers: statistics.median(busy) for workers, busy in counts.items()})
        of = dict(zip(others, curve))
        found |= {tuple({**of, "workers": workers}[name] for name in names) for workers, yes in can.items() if not yes}
    return found


def said(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is to be known of simulated rows; empty for others."""
    return f"in virtual time ({CAVEAT})" if is_simulated(rows) else ""
