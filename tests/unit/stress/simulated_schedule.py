"""A Block-STM schedule in virtual time, which records itself and knows the truth.

Transactions read all their keys one after another, compute, and write at the end; `workers` of them go on at once,
each a generator that yields the nanoseconds it takes. The same transactions always give the same record.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Iterator

import numpy as np

from ioi_exec.block.record import EVENT, READ, WRITE, EventKind, Record

READ_NS, VALIDATE_NS, POLL_NS = 20, 150, 50


@dataclass(frozen=True)
class Tx:
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    cost: int = 2_000


@dataclass
class Truth:
    """What a right reading of the record must find."""

    writers: dict[tuple[int, int], int] = field(default_factory=dict)
    """(tx, key) -> the transaction it reads from, one by one; -1: none."""
    aborts: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(tx, incarnation, key, other)"""
    waits: dict[int, int] = field(default_factory=dict)
    """key -> nanoseconds"""
    lost: int = 0
    """Nanoseconds of executions that were thrown away, without their waits."""
    cut: int = 0
    final_ns: dict[int, int] = field(default_factory=dict)
    """tx -> nanoseconds of the execution that counts, without its waits."""


class Simulation:
    def __init__(self, txs: list[Tx], workers: int, keys: int) -> None:
        self.txs, self.workers, self.keys = txs, workers, keys
        n = len(txs)
        self.status = ["ready"] * n
        self.incarnation = [0] * n
        self.checked = [False] * n
        self.versions: list[dict[int, tuple[int, bool]]] = [
            {} for _ in range(keys)
        ]  # key -> {tx: (incarnation, estimate)}
        self.read: list[list[tuple[int, int, int]]] = [[] for _ in range(n)]
        self.spent: dict[tuple[int, int], int] = {}
        self.next, self.watermark, self.now = 0, 0, 0
        self.events: list[tuple[int, ...]] = []
        self.truth = Truth()

    def run(self) -> tuple[Record, Truth]:
        clocks = [(0, w, self._worker(w)) for w in range(self.workers)]
        while clocks:
            self.now, w, worker = heapq.heappop(clocks)
            step = next(worker, None)
            if step is not None:
                heapq.heappush(clocks, (self.now + step, w, worker))
        return self._record(), self.truth

    def _event(
        self,
        kind: EventKind,
        start: int,
        tx: int,
        worker: int,
        *,
        incarnation: int = 0,
        other: int = -1,
        key: int = -1,
        other_incarnation: int = 0,
        result: int = 0,
    ) -> None:
        self.events.append((start, self.now, tx, incarnation, other, key, other_incarnation, worker, int(kind), result))

    def _worker(self, w: int) -> Iterator[int]:
        idle_from = -1
        while self.watermark < len(self.txs):
            task = self._task()
            if task is None:
                if idle_from < 0:
                    idle_from = self.now
                yield POLL_NS
                continue
            if idle_from >= 0:
                self._event(EventKind.IDLE, idle_from, 0, w)
                idle_from = -1
            kind, tx = task
            if kind == "validate":
                invalid = yield from self._validate(w, tx)
                if not invalid:
                    self._commit(w)
                    continue
            while not (yield from self._execute(w, tx)):
                pass
            self._commit(w)
        if idle_from >= 0:
            self._event(EventKind.IDLE, idle_from, 0, w)

    def _task(self) -> tuple[str, int] | None:
        for tx in range(self.watermark, self.next):
            if self.status[tx] == "executed" and not self.checked[tx]:
                self.checked[tx] = True
                return "validate", tx
        if self.next < len(self.txs):
            self.next += 1
            self.status[self.next - 1] = "executing"
            return "execute", self.next - 1
        return None

    def _seen(self, tx: int, key: int) -> tuple[int, int, bool]:
        lower = [writer for writer in self.versions[key] if writer < tx]
        if not lower:
            return -1, 0, False
        return max(lower), *self.versions[key][max(lower)]

    def _wrong(self, tx: int) -> tuple[int, int, int] | None:
        """The first read that no longer holds: key, whose write it was, its incarnation."""
        for key, writer, incarnation in self.read[tx]:
            now_writer, now_incarnation, estimate = self._seen(tx, key)
            if (now_writer, now_incarnation, estimate) != (writer, incarnation, False):
                return (key, now_writer, now_incarnation) if now_writer >= 0 else (key, writer, incarnation)
        return None

    def _validate(self, w: int, tx: int) -> Iterator[int]:
        start, incarnation = self.now, self.incarnation[tx]
        yield VALIDATE_NS
        if self.status[tx] != "executed" or self.incarnation[tx] != incarnation:
            return False  # type: ignore[return-value]
        wrong = self._wrong(tx)
        if wrong is None:
            self._event(EventKind.VALIDATE, start, tx, w, incarnation=incarnation, result=1)
            return False  # type: ignore[return-value]
        key, other, other_incarnation = wrong
        about = {"incarnation": incarnation, "other": other, "key": key, "other_incarnation": other_incarnation}
        self._event(EventKind.VALIDATE, start, tx, w, **about)
        self._event(
            EventKind.ABORT, self.now, tx, w, **about, result=int(not self.versions[key].get(other, (0, True))[1])
        )
        self.truth.aborts.append((tx, incarnation, key, other))
        self.truth.lost += self.spent[tx, incarnation]
        for key in self.txs[tx].writes:
            self.versions[key][tx] = (incarnation, True)
        self.incarnation[tx] += 1
        self.status[tx] = "executing"
        self._recheck(tx)
        return True  # type: ignore[return-value]

    def _execute(self, w: int, tx: int) -> Iterator[int]:
        """Returns whether it finished."""
        start, incarnation, waited = self.now, self.incarnation[tx], 0
        self.read[tx] = []
        for key in self.txs[tx].reads:
            yield READ_NS
            writer, writer_incarnation, estimate = self._seen(tx, key)
            if estimate:
                from_ns = self.now
                while self.status[writer] == "executing":
                    yield POLL_NS
                about = {
                    "incarnation": incarnation,
                    "other": writer,
                    "key": key,
                    "other_incarnation": writer_incarnation,
                }
                self._event(EventKind.SUSPEND, from_ns, tx, w, **about)
                waited += self.now - from_ns
                self.truth.waits[key] = self.truth.waits.get(key, 0) + self.now - from_ns
                wrong = self._wrong(tx)
                if wrong is not None:
                    self._event(
                        EventKind.EXECUTE,
                        start,
                        tx,
                        w,
                        incarnation=incarnation,
                        key=wrong[0],
                        other=wrong[1],
                        other_incarnation=wrong[2],
                        result=0,
                    )
                    self.truth.cut += 1
                    self.truth.lost += self.now - start - waited
                    return False  # type: ignore[return-value]
                writer, writer_incarnation, estimate = self._seen(tx, key)
            self.read[tx].append((key, writer, writer_incarnation))
        yield self.txs[tx].cost
        for key in self.txs[tx].writes:
            self.versions[key][tx] = (incarnation, False)
        self.status[tx] = "executed"
        self.checked[tx] = False
        self._recheck(tx)
        self.spent[tx, incarnation] = self.truth.final_ns[tx] = self.now - start - waited
        self._event(EventKind.EXECUTE, start, tx, w, incarnation=incarnation, result=1)
        return True  # type: ignore[return-value]

    def _recheck(self, tx: int) -> None:
        """What any higher transaction read may have changed."""
        for higher in range(tx + 1, self.next):
            self.checked[higher] = False

    def _commit(self, w: int) -> None:
        before = self.watermark
        while self.watermark < len(self.txs):
            tx = self.watermark
            if self.status[tx] != "executed" or not self.checked[tx] or self._wrong(tx) is not None:
                break
            self.watermark += 1
        if self.watermark > before:
            self._event(EventKind.COMMIT, self.now, self.watermark, w)

    def _record(self) -> Record:
        events = np.array(self.events, EVENT)
        reads, writes = [], []
        last: dict[int, int] = {}
        for tx, each in enumerate(self.txs):
            for key in sorted(each.reads):
                reads.append((tx, key, last.get(key, -1), False))
                self.truth.writers[tx, key] = last.get(key, -1)
            for key in sorted(each.writes):
                writes.append((tx, key, False, False))
                last[key] = tx
        keys = [b"key/%d" % key for key in range(self.keys)]
        order = np.argsort(events["start"], kind="stable")
        return Record(events[order], np.array(reads, READ), np.array(writes, WRITE), keys, self.workers, len(self.txs))


def simulate(txs: list[Tx], workers: int = 3, keys: int = 10) -> tuple[Record, Truth]:
    return Simulation(txs, workers, keys).run()


def random_block(seed: int, n: int = 60, keys: int = 10) -> list[Tx]:
    rng = random.Random(seed)
    return [
        Tx(
            tuple(rng.sample(range(keys), rng.randrange(4))),
            tuple(rng.sample(range(keys), rng.randrange(3))),
            rng.randrange(500, 6_000),
        )
        for _ in range(n)
    ]
