"""All that is to be said about one block, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ioi_exec.cores import allowed_cores
from ioi_exec.vm.loading import load_vm
from ioi_stress.explaining.conflicts import UNKNOWN, KeyConflicts, Pair, by_key, pairs
from ioi_stress.explaining.dependencies import Bound, Dependencies, Path, bound
from ioi_stress.running.recording import Recording
from ioi_stress.tracing.summary import to_json
from ioi_stress.tracing.timeline import EXECUTIONS, WASTED, Timeline, accesses

FORMAT = "ioi-stress/explain/1"
_CORES = (2, 4, 8, 16, 32, 64)
_QUESTIONS = 3


@dataclass(frozen=True)
class PathKey:
    """key: index. steps: dependencies along the critical path that go through it. nanoseconds: of the transactions
    that they lead to. without: the critical path if nothing had depended on anything through this key; best_without: the
    best speed-up on any number of cores then; None: not asked."""

    key: int
    steps: int
    nanoseconds: int
    best_without: float | None = None
    without: Path | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """work: nanoseconds of all transactions, as `Recording.work` has them. shares: by class, nanoseconds of all
    workers together. bounds: by cores, this machine's and this block's among them; none is below what the block had.
    preempted: the part of the workers' time in which other processes had their cores, in all records."""

    recording: Recording
    timeline: Timeline
    work: int
    path: Path
    path_keys: list[PathKey]
    bounds: list[Bound]
    shares: dict[str, int]
    keys: list[KeyConflicts]
    pairs: list[Pair]
    preempted: float

    @classmethod
    def of(cls, recording: Recording) -> Explanation:
        timeline = recording.timeline()
        dependencies = Dependencies.of(recording.record, recording.work())
        work, path = int(dependencies.work.sum()), dependencies.critical_path()
        workers = timeline.record.workers
        cores = sorted({*_CORES, workers, len(allowed_cores())} - {1})
        had = recording.speedup
        bounds = [bound(work, path.nanoseconds, each) for each in cores]
        return cls(
            recording,
            timeline,
            work,
            path,
            _along(path, dependencies, work),
            [replace(each, at_most=max(each.at_most, had)) if each.cores >= workers else each for each in bounds],
            {name: int(each.sum()) for name, each in timeline.shares().items()},
            by_key(timeline),
            pairs(timeline),
            recording.preempted(),
        )

    def __str__(self) -> str:
        from ioi_stress.explaining.report import report  # which is made of this

        return report(self)

    @property
    def workers(self) -> int:
        return self.timeline.record.workers

    @property
    def transactions(self) -> int:
        return self.timeline.record.transactions

    @property
    def best(self) -> float:
        """Speed-up on any number of cores."""
        return max(self.modelled, self.had)

    @property
    def modelled(self) -> float:
        """The same, were a transaction one piece that takes as long beside others as alone: what it had may be more."""
        return self.work / self.path.nanoseconds if self.path.nanoseconds else 1.0

    @property
    def beyond(self) -> bool:
        """Whether the block did better than that on its workers."""
        return self.had > bound(self.work, self.path.nanoseconds, self.workers).at_most

    @property
    def had(self) -> float:
        return self.recording.speedup

    @property
    def possible(self) -> Bound:
        """On as many cores as there were workers."""
        return next(
            (each for each in self.bounds if each.cores == self.workers),
            Bound(1, 1.0, max(self.had, 1.0)),
        )

    @property
    def busy(self) -> float:
        """Workers that executed or validated something, on average, while the block was executed."""
        stats = self.recording.result.stats
        return sum(stats.busy_seconds) / max(stats.seconds.get("execute", 0.0), 1e-12)

    @property
    def executed(self) -> int:
        """Nanoseconds of all executions, without waits."""
        return sum(self.shares[name] for name in EXECUTIONS)

    @property
    def wasted(self) -> float:
        """The part of it that went into executions which were given up."""
        return sum(self.shares[name] for name in WASTED) / self.executed if self.executed else 0.0

    @property
    def independent(self) -> bool:
        """Whether no transaction read what another one of the block wrote."""
        reads, _, _ = accesses(self.timeline.record)
        return not ((reads["writer"] >= 0) & (reads["tx"] < self.transactions)).any()

    @property
    def lost(self) -> int:
        """Nanoseconds of executions given up, and of waits."""
        return sum(each.lost for each in self.keys)

    @property
    def slower(self) -> float:
        """Executing alone, in parallel and recorded, over all that one by one takes."""
        return self.work / 1e9 / max(min(self.recording.sequential), 1e-12)

    @property
    def keys_unnamed(self) -> bool:
        """Whether the VM could say beforehand which keys a transaction needs, and does not."""
        vm = load_vm(self.recording.workload.vm, self.recording.workload.vm_args)
        return vm.native is None and not hasattr(vm.instance, "keys")

    def name(self, key: int) -> str:
        return "(not known)" if key == UNKNOWN else self.timeline.namer(self.timeline.record.keys[key])

    def to_json(self, top: int) -> dict[str, Any]:
        recording, summary = self.recording, to_json(self.timeline)
        return {
            "format": FORMAT,
            "workload": {"name": recording.workload.name, "parameters": dict(recording.workload.parameters)},
            "block": recording.number,
            "transactions": self.transactions,
            "failed": recording.result.failed,
            "workers": self.workers,
            "policy": recording.plan.policy.name,
            "state_root": recording.result.state_root.hex(),
            "verified": True,
            "seconds": {
                "sequential": recording.sequential,
                "parallel": recording.parallel,
                "recorded": recording.recorded,
            },
            "speedup": {
                "had": self.had,
                "best": self.best,
                "bounds": [
                    {"cores": each.cores, "at_least": each.at_least, "at_most": each.at_most} for each in self.bounds
                ],
            },
            "work_ns": self.work,
            "critical_path": {
                "ns": self.path.nanoseconds,
                "transactions": self.path.transactions,
                "keys": [self._key(key) for key in self.path.keys],
                "by_key": [
                    {
                        **self._key(each.key),
                        "steps": each.steps,
                        "ns": each.nanoseconds,
                        "best_without": each.best_without,
                        "path_without": None if each.without is None else [self._key(key) for key in sorted(set(each.without.keys))],
                    }
                    for each in self.path_keys[:top]
                ],
            },
            **summary,
            "busy_workers": self.busy,
            "wasted_share": self.wasted,
            "preempted_share": self.preempted,
            "lost_ns": self.lost,
            "conflicting_keys": len(self.keys),
            "keys": [
                {
                    **self._key(each.key),
                    "lost_ns": each.lost,
                    "wasted_ns": each.wasted,
                    "waited_ns": each.waited,
                    "aborts": each.aborts,
                    "cut_short": each.cuts,
                    "suspensions": each.suspensions,
                    "readers": each.readers,
                    "writers": each.writers,
                    "adders": each.adders,
                }
                for each in self.keys[:top]
            ],
            "pairs": [
                {
                    "writer": pair.writer,
                    "reader": pair.reader,
                    "aborts": pair.aborts,
                    "wasted_ns": pair.wasted,
                    "keys": [self._key(key) for key, _ in pair.keys.most_common()],
                }
                for pair in self.pairs[:top]
            ],
        }

    def _key(self, key: int) -> dict[str, Any]:
        return {"key": None if key == UNKNOWN else self.timeline.record.keys[key].hex(), "name": self.name(key)}


def _along(path: Path, dependencies: Dependencies, work: int) -> list[PathKey]:
    """The keys of the critical path, those that most of it goes through first."""
    if not path.keys:
        return []
    keys, steps = np.array(path.keys), dependencies.work[path.transactions[1:]]
    times, counts = np.bincount(keys, steps), np.bincount(keys)
    order = sorted(np.unique(keys).tolist(), key=lambda key: (-times[key], -counts[key], key))
    found = []
    for place, key in enumerate(order):
        each = PathKey(key, int(counts[key]), int(times[key]))
        if place < _QUESTIONS:
            without = dependencies.critical_path({key})
            each = replace(each, best_without=work / max(without.nanoseconds, 1), without=without)
        found.append(each)
    return found
