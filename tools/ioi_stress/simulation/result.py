"""What simulations say."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ioi_stress.notation.text import counted, short, significant, table
from ioi_stress.simulation.costs import Costs

PREDICTABLE = 0.5
"""Of the time: where the scheduler's cache lines are on their way for longer, how cores share it decides everything, and no
model of that can be trusted."""
CAVEAT = "scheduler alone, a core per worker: an upper bound"


@dataclass(frozen=True)
class Play:
    """One run. Nanoseconds of virtual time, of all workers together but for `elapsed`."""

    elapsed: int
    useful: int
    executed: int
    waiting: int
    moving: int
    executions: int
    validations: int
    aborts: int
    suspensions: int
    solo: int


@dataclass(frozen=True)
class Point:
    """One number of workers. Speed-ups are over executing one by one.

    speedup, worst: the median and the least of all seeds, with lines as assumed. low, high: the least and the greatest median with
    lines at half, as much, and twice as much. free_lines, free_wakes: the median if moving cache lines, or waking, took no time.
    bound: no schedule is above (critical path, and the workers). useful, wasted, waiting, scheduling: shares of the workers' time:
    the executions that counted, the others, idle or suspended, and all else. executions, validations, aborts, suspensions, solo:
    for each transaction. line_busy: share of the time that the scheduler's cache lines were on
    their way, summed: it may be above 1. predictable: it is less than half here and at all fewer workers that were simulated.
    """

    workers: int
    speedup: float
    worst: float
    low: float
    high: float
    bound: float
    free_lines: float
    free_wakes: float
    useful: float
    wasted: float
    waiting: float
    scheduling: float
    executions: float
    validations: float
    aborts: float
    suspensions: float
    solo: float
    line_busy: float
    predictable: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def point_of(
    workers: int, transactions: int, sequential: int, path: int, runs: list[list[Play]], free: tuple[list[Play], list[Play]]
) -> Point:
    """runs: by seed, with lines at half, as assumed, and twice. free: with free lines, and with free wake-ups."""

    def speedup(plays: list[Play]) -> float:
        return statistics.median(sequential / play.elapsed for play in plays)

    def mean(figure: str, plays: list[Play]) -> float:
        return statistics.fmean(getattr(play, figure) for play in plays)

    half, as_assumed, double = runs
    medians = [speedup(each) for each in (half, as_assumed, double)]
    time = statistics.fmean(workers * play.elapsed for play in as_assumed)
    useful, executed, waiting = (mean(figure, as_assumed) / time for figure in ("useful", "executed", "waiting"))
    wasted = max(0.0, executed - useful)
    counts = {
        figure: mean(figure, as_assumed) / transactions
        for figure in ("executions", "validations", "aborts", "suspensions", "solo")
    }
    return Point(
        workers=workers,
        speedup=medians[1],
        worst=min(sequential / play.elapsed for play in as_assumed),
        low=min(medians),
        high=max(medians),
        bound=min(workers, sequential / max(1, path)),
        free_lines=speedup(free[0]),
        free_wakes=speedup(free[1]),
        useful=useful,
        wasted=wasted,
        waiting=waiting,
        scheduling=max(0.0, 1 - useful - wasted - waiting),
        line_busy=(busy := statistics.fmean(play.moving / play.elapsed for play in as_assumed)),
        predictable=busy <= PREDICTABLE,
        **counts,
    )


def believed(busy: Mapping[int, float]) -> dict[int, bool]:
    """Of one curve, by workers: whether its points can be believed. From the first that cannot on none can: where lines are fought over
    so much that workers are stopped, as they are beyond, the lines are free again, but what stopped them was no model's to say."""
    found, so_far = {}, True
    for workers in sorted(busy):
        so_far = so_far and busy[workers] <= PREDICTABLE
        found[workers] = so_far
    return found


@dataclass(frozen=True)
class Simulation:
    """What `simulate` found. workload: name and parameters. scheduler: the policy's name, or whose it was. sequential_ns, path_ns: of
    all transactions one by one, and of the longest chain of those that read what the one before wrote."""

    workload: dict[str, Any]
    block: int
    transactions: int
    scheduler: str
    seeds: int
    costs: Costs
    sequential_ns: int
    path_ns: int
    points: list[Point]

    def at(self, workers: int) -> Point:
        """Raises KeyError for a number of workers that was not simulated."""
        for point in self.points:
            if point.workers == workers:
                return point
        raise KeyError(workers)

    def to_json(self) -> dict[str, Any]:
        return {
            "workload": self.workload,
            "block": self.block,
            "transactions": self.transactions,
            "scheduler": self.scheduler,
            "seeds": self.seeds,
            "assumed": self.costs.to_json(),
            "caveat": CAVEAT,
            "sequential_ns": self.sequential_ns,
            "critical_path_ns": self.path_ns,
            "points": [point.to_json() for point in self.points],
        }

    def __str__(self) -> str:
        costs = self.costs
        best = short(self.sequential_ns / max(1, self.path_ns))
        head = (
            f"{self.workload['name']}: block {self.block}, {counted(self.transactions, 'transaction')}, {self.scheduler}, "
            f"simulated with {counted(self.seeds, 'seed')}\n"
            f"One by one {significant(self.sequential_ns / 1e6)} ms; the critical path allows {best} on any number of cores.\n"
            f"Assumed: a cache line moves in {costs.line} ns; a wake call {costs.wake / 1000:g} us, {costs.latency / 1000:g} us until "
            f"the sleeper runs; own work {costs.work} ns an execution, {costs.sequential} ns one by one."
        )
        speeds = table(
            ["workers", "speed-up", "worst", "range", "bound", "free lines", "free wakes", ""],
            [
                [
                    str(each.workers),
                    short(each.speedup),
                    short(each.worst),
                    f"{short(each.low)}..{short(each.high)}",
                    short(each.bound),
                    short(each.free_lines),
                    short(each.free_wakes),
                    "" if each.predictable else _unpredictable(each),
                ]
                for each in self.points
            ],
            left=(0, 7),
        )
        shares = table(
            ["workers", "useful", "wasted", "waiting", "scheduling", "executions", "validations", "suspensions", "solo"],
            [
                [
                    str(each.workers),
                    *(f"{share:.0%}" for share in (each.useful, each.wasted, each.waiting, each.scheduling)),
                    *(short(count) for count in (each.executions, each.validations, each.suspensions, each.solo)),
                ]
                for each in self.points
            ],
        )
        return (
            f"{head}\n\nSpeed-up over one by one ({CAVEAT})\n{speeds}\n"
            "range: cache lines at half, as assumed, and twice. free: if they, or wake-ups, took no time.\n\n"
            f"Where the workers' time goes, and what is done for each transaction\n{shares}"
        )


def _unpredictable(point: Point) -> str:
    if point.line_busy > PREDICTABLE:
        return f"not predictable: the scheduler's lines are busy {point.line_busy:.0%}"
    return "not predictable, as fewer workers were not"
