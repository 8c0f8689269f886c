"""What conflicts cost: which keys they were about, and who ended whose execution."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from ioi_exec.block.record import EventKind
from ioi_stress.tracing.timeline import Timeline, accesses

UNKNOWN = -1


@dataclass
class KeyConflicts:
    """key: index into the record's keys, or UNKNOWN. wasted: nanoseconds of executions that were given up or cut short
    because of it, their waits and fetches not counted. waited: nanoseconds of waits for it. readers, writers, adders:
    transactions, in the executions that count: adders those that added and did not depend on others for it."""

    key: int
    aborts: int = 0
    cuts: int = 0
    suspensions: int = 0
    readers: int = 0
    writers: int = 0
    adders: int = 0
    wasted: int = 0
    waited: int = 0

    @property
    def lost(self) -> int:
        return self.wasted + self.waited


@dataclass
class Pair:
    """How often `writer` ended executions of `reader`, the nanoseconds of those, and the keys with their numbers."""

    writer: int
    reader: int
    aborts: int = 0
    wasted: int = 0
    keys: Counter[int] = field(default_factory=Counter)


def by_key(timeline: Timeline) -> list[KeyConflicts]:
    """Every key with a conflict, those that cost most first."""
    found: defaultdict[int, KeyConflicts] = defaultdict(lambda: KeyConflicts(UNKNOWN))

    def at(key: int) -> KeyConflicts:
        each = found[key]
        each.key = key
        return each

    for key, lost in zip(timeline.aborts["key"].tolist(), _ended_ns(timeline)):
        at(key).aborts += 1
        at(key).wasted += lost
    spans = timeline.spans
    for index in np.flatnonzero((spans["kind"] == EventKind.EXECUTE) & (spans["result"] == 0)).tolist():
        key = int(spans["key"][index])
        at(key).cuts += 1
        at(key).wasted += int(timeline.net[index])
    for index in np.flatnonzero(spans["kind"] == EventKind.SUSPEND).tolist():
        key = int(spans["key"][index])
        at(key).suspensions += 1
        at(key).waited += int(timeline.own[index])
    reads, writes, added = accesses(timeline.record)
    readers, writers, adders = (np.bincount(rows["key"], minlength=len(timeline.record.keys)) for rows in (reads, writes, added))
    for key, each in found.items():
        if key != UNKNOWN:
            each.readers, each.writers, each.adders = int(readers[key]), int(writers[key]), int(adders[key])
    return sorted(found.values(), key=lambda each: (-each.lost, -each.aborts - each.cuts - each.suspensions, each.key))


def pairs(timeline: Timeline) -> list[Pair]:
    """Who ended executions of whom, those that cost most first; aborts by a writer that is not known are left out."""
    found: dict[tuple[int, int], Pair] = {}
    for (writer, reader, key), lost in zip(timeline.aborts[["other", "tx", "key"]].tolist(), _ended_ns(timeline)):
        if writer >= 0:
            pair = found.setdefault((writer, reader), Pair(writer, reader))
            pair.aborts += 1
            pair.wasted += lost
            pair.keys[key] += 1
    return sorted(found.values(), key=lambda pair: (-pair.wasted, -pair.aborts, pair.writer, pair.reader))


def _ended_ns(timeline: Timeline) -> list[int]:
    """By abort: nanoseconds of the execution it gave up."""
    net: list[int] = np.append(timeline.net, 0)[timeline.ended].tolist()  # the last is for -1
    return net
