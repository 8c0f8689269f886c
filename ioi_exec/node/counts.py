"""What has happened in a node since its process began, counted where it happens: for metrics, readiness and whoever else looks."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from time import monotonic
from typing import NamedTuple

from ioi_exec.block.result import BlockResult

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, of the buckets of a histogram


class Newest(NamedTuple):
    """The last block that was committed here: its height, its own time (Unix nanoseconds), and when it was committed (time.monotonic)."""

    height: int
    time_ns: int
    committed: float


class Durations:
    """A histogram of seconds. buckets: how many are at most each of BOUNDS and above the one before it, and last those above all."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Counts:
    """For any thread. What is read is a moment's: two numbers may be of different ones.

    blocks: committed ones, by how they were executed (`Stats.mode`). transactions: in them, by "done" and "failed".
    execution: what executing them took (`Stats`): executions, again (those beyond the first of a transaction), validations, aborts,
    suspensions, retries. phases: seconds by phase of a committed block (`Stats.seconds`, and "commit").
    checks: answers of CheckTx, by (whether it was asked again, whether it may wait); its pool counts them, one at a time.
    queries: answers, by whether there was one.
    proposals: by "proposed", "empty" (none could be executed), "accepted", "rejected", "failed" (could not be executed here).
    taken_out: transactions that a proposer took out of its blocks, by kind (`Dropped.kind`).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.newest: Newest | None = None
        self.blocks: Counter[str] = Counter()
        self.transactions: Counter[str] = Counter()
        self.execution: Counter[str] = Counter()
        self.busy_seconds = 0.0
        self.phases: dict[str, Durations] = {}
        self.checks: Counter[tuple[bool, bool]] = Counter()
        self.queries: Counter[bool] = Counter()
        self.proposals: Counter[str] = Counter()
        self.taken_out: Counter[str] = Counter()

    def count(self, counter: Counter[str], name: str) -> None:
        with self._lock:
            counter[name] += 1

    def queried(self, answered: bool) -> None:
        with self._lock:
            self.queries[answered] += 1

    def committed(self, result: BlockResult, commit_seconds: float) -> None:
        stats = result.stats
        with self._lock:
            self.newest = Newest(result.height, result.header.time_ns, monotonic())
            self.blocks[stats.mode] += 1
            self.transactions["failed"] += result.failed
            self.transactions["done"] += result.transactions - result.failed
            self.execution.update(
                executions=stats.executions, again=max(0, stats.executions - result.transactions), validations=stats.validations,
                aborts=stats.aborts, suspensions=stats.suspensions, retries=stats.retries,
            )
            self.busy_seconds += sum(stats.busy_seconds)
            for phase, seconds in {**stats.seconds, "commit": commit_seconds}.items():
                if phase != "total":
                    self.phases.setdefault(phase, Durations()).add(seconds)
