"""A record as lanes: which spans lie in which, what became of every execution, and where each worker's time went."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ioi_exec import InputError
from ioi_exec.block.record import EVENT, READ, WRITE, EventKind, Record
from ioi_stress.notation.keys import readable
from ioi_stress.tracing.names import Namer

SPANS = (
    EventKind.EXECUTE, EventKind.VALIDATE, EventKind.SUSPEND, EventKind.FETCH, EventKind.IDLE, EventKind.SOLO, EventKind.PREEMPTED
)
# Of spans that begin and end together, which one holds the other.
_RANK = np.zeros(max(EventKind) + 1, np.int64)
_RANK[EventKind.EXECUTE], _RANK[EventKind.VALIDATE], _RANK[EventKind.FETCH], _RANK[EventKind.SUSPEND] = 1, 2, 3, 4
_RANK[EventKind.PREEMPTED] = 5

FIRST = "first incarnation"
AGAIN = "re-execution"
ABORTED = "aborted"
CUT = "cut short"
VALIDATING = "validation"
WAITING = "waiting"
FETCHING = "fetching"
PREEMPTED = "preempted"
IDLE = "idle"
WAKING = "waking"
OTHER = "scheduling"
CLASSES = (FIRST, AGAIN, ABORTED, CUT, VALIDATING, FETCHING, WAITING, PREEMPTED, IDLE, WAKING, OTHER)
"""What a worker does at any moment; waking is until its first span. Executions: kept, of the first incarnation or a
later one; finished but given up; not even finished. Preempted: nothing, another process had its core."""
EXECUTIONS = CLASSES[:4]
WASTED = (ABORTED, CUT)
_OTHER = CLASSES.index(OTHER)

Ints = npt.NDArray[np.int64]
Events = npt.NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Timeline:
    """spans: EVENT array of all but instants, by worker and start, a span before those inside it; ends are clipped to
    those of the span around them, so that every lane nests. parent: index of the span around each, -1: none. own: its
    nanoseconds less those of the spans inside it. what: index into CLASSES. final: by TxIndex (end_block is the last),
    index of the execution that counts; -1: not recorded. aborts, commits: EVENT arrays by time. namer: says what keys are called.
    """

    record: Record
    spans: Events
    parent: Ints
    own: Ints
    what: Ints
    final: Ints
    aborts: Events
    commits: Events
    namer: Namer = readable

    @classmethod
    def of(cls, record: Record, namer: Namer = readable) -> Timeline:
        """Raises InputError for a record that says what cannot be."""
        events = _checked(record)
        kind = events["kind"]
        spans = events[np.isin(kind, [int(each) for each in SPANS])]
        order = np.lexsort((_RANK[spans["kind"]], -spans["end"].astype(np.int64), spans["start"], spans["worker"]))
        spans = spans[order].copy()
        parent, end = _nested(spans)
        spans["end"] = end
        length = (spans["end"] - spans["start"]).astype(np.int64)
        own = length.copy()
        inside = parent >= 0
        np.subtract.at(own, parent[inside], length[inside])
        final = _final(spans, record.transactions)
        what = _classified(spans, final[final >= 0])
        return cls(
            record, spans, parent, own, what, final, events[kind == EventKind.ABORT], events[kind == EventKind.COMMIT], namer
        )

    @cached_property
    def duration(self) -> int:
        """Nanoseconds from the block's begin to its last event."""
        return int(self.record.events["end"].max(initial=0))

    @cached_property
    def first(self) -> Ints:
        """By worker: when its first span began; `duration` if it had none."""
        first = np.full(self.record.workers, self.duration, np.int64)
        np.minimum.at(first, self.spans["worker"], self.spans["start"].astype(np.int64))
        return first

    def name(self, tx: int) -> str:
        return "end_block" if tx == self.record.transactions else str(tx)

    @cached_property
    def net(self) -> Ints:
        """By span: its nanoseconds without the waits, fetches and preemptions in it, which a native VM has outside of its
        executions."""
        within = np.zeros(len(self.spans), np.int64)
        left_out = np.isin(self.spans["kind"], (EventKind.SUSPEND, EventKind.FETCH, EventKind.PREEMPTED)) & (self.parent >= 0)
        np.add.at(within, self.parent[left_out], (self.spans["end"] - self.spans["start"])[left_out].astype(np.int64))
        net: Ints = (self.spans["end"] - self.spans["start"]).astype(np.int64) - within
        return net

    def work(self) -> Ints:
        """By TxIndex, end_block last: nanoseconds of the execution that counts, without waits, fetches and preemptions."""
        work: Ints = np.append(self.net, 0)[self.final]  # the last is for -1
        return work

    def shares(self) -> dict[str, Ints]:
        """By class: nanoseconds of each worker. They add up to `duration` for each worker."""
        workers = self.record.workers
        found = {
            name: np.bincount(self.spans["worker"], np.where(self.what == index, self.own, 0), workers).astype(np.int64)
            for index, name in enumerate(CLASSES)
        }
        found[WAKING] = self.first.copy()
        known = np.sum([found[name] for name in CLASSES if name != OTHER], axis=0)
        found[OTHER] = np.full(workers, self.duration, np.int64) - known
        return found

    @cached_property
    def alone(self) -> Events:
        """The spans in which one worker ran alone at the watermark."""
        alone: Events = self.spans[self.spans["kind"] == EventKind.SOLO]
        return alone

    def solo(self) -> int:
        """Nanoseconds in which one worker ran alone at the watermark."""
        return int((self.alone["end"] - self.alone["start"]).sum())

    def counts(self) -> dict[str, int]:
        """How many of each there were."""
        kinds = np.bincount(self.record.events["kind"], minlength=max(EventKind) + 1)
        found = {
            name: int(((self.what == index) & (self.spans["kind"] == EventKind.EXECUTE)).sum())
            for index, name in enumerate(EXECUTIONS)
        }
        return {
            "executions": int(kinds[EventKind.EXECUTE]),
            **found,
            "validations": int(kinds[EventKind.VALIDATE]),
            "failed validations": int(((self.spans["kind"] == EventKind.VALIDATE) & (self.spans["result"] == 0)).sum()),
            "aborts": int(kinds[EventKind.ABORT]),
            "suspensions": int(kinds[EventKind.SUSPEND]),
            "fetches": int(kinds[EventKind.FETCH]),
            "preemptions": int(kinds[EventKind.PREEMPTED]),
            "solo spans": int(kinds[EventKind.SOLO]),
        }

    @cached_property
    def ended(self) -> Ints:
        """By abort: index into `spans` of the execution it gave up; -1: not recorded."""
        return np.array([self._published.get((int(a["tx"]), int(a["incarnation"])), -1) for a in self.aborts], np.int64)

    @cached_property
    def invalidated_by(self) -> Ints:
        """By abort: index into `spans` of the execution whose write ended it; -1: not known."""
        return np.array([self._writer(abort) for abort in self.aborts], np.int64)

    @cached_property
    def _published(self) -> dict[tuple[int, int], int]:
        finished = np.flatnonzero((self.spans["kind"] == EventKind.EXECUTE) & (self.spans["result"] == 1))
        txs, incarnations = self.spans["tx"][finished].tolist(), self.spans["incarnation"][finished].tolist()
        return dict(zip(zip(txs, incarnations), finished.tolist()))

    def _writer(self, abort: Any) -> int:
        other = int(abort["other"])
        found = self._published.get((other, int(abort["other_incarnation"])), -1) if other >= 0 else -1
        return found if found >= 0 and self.spans["start"][found] <= abort["start"] else -1


def accesses(record: Record) -> tuple[Events, Events, Events]:
    """Reads, writes, and adds that depend on no other transaction, as READ and WRITE arrays. An add that does is a read, and a write if it was
    not refused; of one that was refused and does not nothing is left."""
    reads, writes = record.reads, record.writes
    alone = reads["added"] & (reads["writer"] < 0)
    adds = writes["added"] & np.isin(_places(writes), _places(reads[alone]))
    return reads[~alone], writes[~adds], writes[adds]


def _places(rows: Events) -> npt.NDArray[np.uint64]:
    places: npt.NDArray[np.uint64] = rows["tx"].astype(np.uint64) << np.uint64(32) | rows["key"].astype(np.uint64)
    return places


def keys_by_tx(rows: Events, transactions: int) -> tuple[list[int], list[int]]:
    """The keys of reads or writes, and where those of each transaction begin, end_block among them; one more at the
    end."""
    return rows["key"].tolist(), np.searchsorted(rows["tx"], np.arange(transactions + 2)).tolist()


def _checked(record: Record) -> Events:
    def require(holds: object, what: str) -> None:
        if not holds:
            raise InputError(f"the record is damaged: {what}")

    events, reads, writes = record.events, record.reads, record.writes
    for name, array, dtype in (("events", events, EVENT), ("reads", reads, READ), ("writes", writes, WRITE)):
        require(array.dtype == dtype and array.ndim == 1, f"{name} are not of the type they should have")
    require(record.workers > 0, "it names no worker")
    require((events["start"] <= events["end"]).all(), "an event ends before it begins")
    require((events["worker"] < record.workers).all(), "an event is of a worker that took no part")
    require(np.isin(events["kind"], [int(kind) for kind in EventKind]).all(), "an event is of no known kind")
    require((events["key"] < len(record.keys)).all(), "an event names a key that is not in it")
    require((events["tx"] <= record.transactions).all(), "an event names a transaction that is not in it")
    for name, array in (("read", reads), ("write", writes)):
        require((array["key"] < len(record.keys)).all(), f"a {name} names a key that is not in it")
        require((array["tx"] <= record.transactions).all(), f"a {name} names a transaction that is not in it")
        require((np.diff(array["tx"].astype(np.int64)) >= 0).all(), f"the {name}s are not by transaction")
    require((reads["writer"] < reads["tx"].astype(np.int64)).all(), "a transaction reads what a later one wrote")
    return events


def _nested(spans: Events) -> tuple[Ints, npt.NDArray[np.uint64]]:
    """The span around each, and ends that do not reach beyond it (clock readings at the seams may)."""
    parents: list[int] = []
    ends: list[int] = []
    stack: list[int] = []
    lane = -1
    for index, (worker, start, end) in enumerate(
        zip(spans["worker"].tolist(), spans["start"].tolist(), spans["end"].tolist())
    ):
        if worker != lane:
            stack, lane = [], worker
        while stack and ends[stack[-1]] <= start:
            stack.pop()
        parents.append(stack[-1] if stack else -1)
        ends.append(min(end, ends[stack[-1]]) if stack else end)
        stack.append(index)
    return np.array(parents, np.int64), np.array(ends, np.uint64)


def _final(spans: Events, transactions: int) -> Ints:
    finished = np.flatnonzero((spans["kind"] == EventKind.EXECUTE) & (spans["result"] == 1))
    order = np.lexsort((spans["start"][finished], spans["incarnation"][finished], spans["tx"][finished]))
    final = np.full(transactions + 1, -1, np.int64)
    final[spans["tx"][finished][order]] = finished[order]  # the last assignment stands
    return final


def _classified(spans: Events, final: Ints) -> Ints:
    what = np.full(len(spans), _OTHER, np.int64)
    kind = spans["kind"]
    for each, name in (
        (EventKind.VALIDATE, VALIDATING),
        (EventKind.SUSPEND, WAITING),
        (EventKind.FETCH, FETCHING),
        (EventKind.PREEMPTED, PREEMPTED),
        (EventKind.IDLE, IDLE),
    ):
        what[kind == each] = CLASSES.index(name)
    executed = np.flatnonzero(kind == EventKind.EXECUTE)
    what[executed] = np.where(spans["result"][executed] == 0, CLASSES.index(CUT), CLASSES.index(ABORTED))
    what[final] = np.where(spans["incarnation"][final] == 0, CLASSES.index(FIRST), CLASSES.index(AGAIN))
    return what
