"""Many plays of one block in virtual time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from typing import Any, Callable, TypeAlias, TypeVar

from ioi_shm import die_with_parent

from ioi_exec import Error, InputError, InputTypeError
from ioi_exec.arguments import MAX_INT64, flag, integer, path, wrong_type
from ioi_exec.cores import available_cores
from ioi_exec.execution.workers.pool import SPINS
from ioi_exec.execution.workers.process import SPIN_NS
from ioi_exec.policy import Policy
from ioi_stress import _simulation
from ioi_stress.interruption import held
from ioi_stress.refusals import refusing
from ioi_stress.simulation.blocks import block_of
from ioi_stress.simulation.calibration import calibrated
from ioi_stress.simulation.costs import Costs
from ioi_stress.simulation.result import Play, Point, Simulation, believed, point_of
from ioi_stress.workload import Workload, lacking

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128)
WORKERS_MAX = 128
SEEDS = 8
BASELINES = ("sequential", "oracle")

_Task: TypeAlias = tuple[int, int, Costs]
_Player: TypeAlias = "Callable[[Sequence[_Task]], Iterator[Play]]"


class SimulationFailed(Error):
    """A simulated block ended otherwise than sequential execution, or not at all: the scheduler has a fault."""


@refusing
def simulate(
    workload: Workload,
    *,
    workers: Sequence[int] = WORKERS,
    policy: Policy | None = None,
    scheduler: str | None = None,
    costs: Costs | None = None,
    seeds: int = SEEDS,
    block: int = 0,
    own_cores: bool = True,
) -> Simulation:
    """How fast one block would be on machines of so many cores: the engine's scheduler, versions and view under virtual time.

    policy: the engine's, default Policy.named("default"). scheduler: another one than the engine's: "sequential", "oracle" (which
    knows all dependencies beforehand), or the path of a shared library (docs/schedulers.md). costs: what things take; None: measured
    here. seeds: of what differs from run to run. own_cores: False: workers share cores, so that they do not spin before they sleep.

    Every play ends with the state and receipts of sequential execution, or raises SimulationFailed. Raises InputError or
    InputTypeError for what makes no sense, and the engine's errors where the block has to be executed to know what it reads
    and writes.
    """
    if missing := lacking(workload):
        raise InputTypeError(f"{type(workload).__name__} is no workload: it has no {', '.join(missing)}")
    for name, given, kind in (("policy", policy, Policy), ("costs", costs, Costs)):
        if given is not None and not isinstance(given, kind):
            raise wrong_type(name, given, f"a {kind.__name__}, or None")
    block = integer("block", block, 0, MAX_INT64)
    flag("own_cores", own_cores)
    counts = _checked(workers, seeds, policy, scheduler)
    chosen = policy or Policy.named("default")
    assumed = calibrated() if costs is None else costs
    prepared = block_of(workload, block, assumed)
    sequential, critical = _simulation.bounds(prepared, assumed.of_core())
    # Only with a slash is a name a path to the loader.
    played = scheduler if scheduler is None or scheduler in BASELINES else os.path.abspath(scheduler)
    spins, spin_ns = (SPINS, SPIN_NS) if own_cores else (0, 0)

    def play(task: _Task) -> Play:
        count, seed, each = task
        return Play(**_simulation.play(prepared, played, count, chosen.of_core(), spins, spin_ns, seed, each.of_core()))

    transactions = sum(1 for _ in _transactions(workload, block))
    with on_all_cores(play) as run:
        points = [_point(count, transactions, sequential, critical, assumed, seeds, run) for count in counts]
    can = believed({point.workers: point.line_busy for point in points})
    points = [replace(point, predictable=can[point.workers]) for point in points]
    name = scheduler if scheduler is not None else f"policy {chosen.name}"
    described = {"name": workload.name, "parameters": dict(workload.parameters)}
    return Simulation(described, block, transactions, name, seeds, assumed, sequential, critical, points)


def once(prepared: object, workers: int, policy: Policy, seed: int, costs: Costs) -> tuple[int, Play]:
    """Nanoseconds one by one, and one play, of a block of `block_of`; a core per worker. Raises SimulationFailed."""
    with _said():
        play = Play(**_simulation.play(prepared, None, workers, policy.of_core(), SPINS, SPIN_NS, seed, costs.of_core()))
    return _simulation.bounds(prepared, costs.of_core())[0], play


@contextmanager
def _said() -> Iterator[None]:
    """Errors of the simulated machine, as this package has them."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from None
    except RuntimeError as error:
        raise SimulationFailed(str(error)) from None


def _transactions(workload: Workload, number: int) -> Iterator[bytes]:
    for index, block in enumerate(workload.blocks()):
        if index == number:
            yield from block.txs
            return


def _point(count: int, transactions: int, sequential: int, path: int, costs: Costs, seeds: int, run: _Player) -> Point:
    numbers = range(1, seeds + 1)
    few = numbers[: max(1, seeds // 4)]  # attributing takes fewer than finding the worst
    lines = [costs.lines_at(factor) for factor in (0.5, 1, 2)]
    groups = [*((each, numbers) for each in lines), (costs.free_lines(), few), (costs.free_wakes(), few)]
    plays = run([(count, seed, each) for each, chosen in groups for seed in chosen])
    half, as_assumed, double, free_lines, free_wakes = ([next(plays) for _ in chosen] for _, chosen in groups)
    return point_of(count, transactions, sequential, path, [half, as_assumed, double], (free_lines, free_wakes))


def _checked(workers: Sequence[int], seeds: int, policy: Policy | None, scheduler: str | None) -> list[int]:
    if not isinstance(workers, Sequence):
        raise wrong_type("workers", workers, "a list of how many, say (1, 2, 4)")
    counts = [integer("workers", each, 1, WORKERS_MAX) for each in workers]
    integer("seeds", seeds, 1, 1 << 20)
    if scheduler is not None:
        path("scheduler", scheduler)
    if not counts:
        raise InputError("workers: none are given: give at least one number of them")
    if scheduler is not None and policy is not None:
        raise InputError("a policy is the engine's own scheduler's: give one of policy and scheduler")
    if scheduler is not None and scheduler not in BASELINES and not os.path.isfile(scheduler):
        raise InputError(f"there is no scheduler {scheduler!r}: give {', '.join(BASELINES)}, or the path of a shared library")
    return sorted(set(counts))


# ---- all cores ---------------------------------------------------------------------------------------------------------

T = TypeVar("T")
R = TypeVar("R")
_playing: Callable[[Any], Any]


def _in_child(task: Any) -> Any:
    return _playing(task)


def _ends_with(parent: int) -> None:
    """Ctrl-C is left to the parent; if that is killed, nobody stays behind: each holds the others' pipe open, and would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def on_all_cores(play: Callable[[T], R]) -> Iterator[Callable[[Sequence[T]], Iterator[R]]]:
    """What plays tasks, in their order, in as many processes as there are cores. Each has all that was prepared, by being forked."""
    global _playing
    _playing = play
    cores = available_cores()
    pool = ProcessPoolExecutor(cores, get_context("fork"), _ends_with, (os.getpid(),)) if cores > 1 else None

    def run(tasks: Sequence[T]) -> Iterator[R]:
        with _said():
            yield from map(play, tasks) if pool is None else pool.map(_in_child, tasks)

    try:
        yield run
    finally:
        with held():
            if pool is not None:
                pool.shutdown(cancel_futures=True)
