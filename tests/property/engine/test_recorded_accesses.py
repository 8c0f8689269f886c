"""What a record says transactions read and wrote is what they read and wrote one after another; and recording changes nothing."""

from __future__ import annotations

import mmap
import random
from collections import Counter
from typing import Any, Iterator

import effort
import pytest
from differential import (
    WORKERS,
    Chain,
    Compared,
    Pools,
    difference,
    loaded,
    rngs,
)
from program_vm import ProgramVM
from random_blocks import random_begin, random_block, random_state
from third_opinion import Addition, Below, Overlay, ThirdOpinion, WriteSet, within
from until import until

from ioi_exec import Limits, Record
from ioi_exec.execution import parallel
from ioi_exec.execution.executor import Block, Outcome
from ioi_exec.execution.parallel import ParallelExecutor

STATES = effort.amount("IOI_STATES", sample=6, many=60)
TINY_STATES = STATES // 3
BLOCKS_PER_STATE = 25
LIMITS = Limits(key_bytes=32, value_bytes=2600)
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"hints": "right", "ends": True},
    {"decode": True, "restless": True},
    {"restless": True, "ends": True},
)

Accesses = tuple[list[tuple[int, bytes, int]], list[tuple[int, bytes, bool]]]
"""(transaction, key, whose write it read), (transaction, key, deleted)."""


class Range:
    """A scan's range, and how far it was looked at."""

    def __init__(self, start: bytes | None, end: bytes | None, reverse: bool) -> None:
        self.start, self.end, self.reverse = start, end, reverse
        self.reached: bytes | None = None
        self.complete = False

    def covers(self, key: bytes) -> bool:
        if not within(key, self.start, self.end) or (self.reached is None and not self.complete):
            return False
        return self.complete or self.reached is None or (key >= self.reached if self.reverse else key <= self.reached)


class TracingOverlay(Overlay):
    """The state as the next transaction finds it, which notes what that transaction takes from it."""

    traced: TracingOverlay

    def __init__(self, base: Below) -> None:
        super().__init__(base)
        TracingOverlay.traced = self
        self.tx = 0
        self.last: dict[bytes, int] = {}
        self.accesses: Accesses = [], []
        self.history: dict[bytes, list[tuple[int, bytes | None]]] = {}  # of what was written or added to: who, and what was there then
        self.seen: set[tuple[int, bytes]] = set()  # by (transaction, key): the value or the presence, otherwise than by adding
        self.additions: dict[tuple[int, bytes], list[tuple[int, Addition]]] = {}  # with what it had itself added before
        self._start()

    def _start(self) -> None:
        self.absent: set[bytes] = set()
        self.present: set[bytes] = set()
        self.ranges: list[Range] = []

    def get(self, key: bytes) -> bytes | None:
        self.seen.add((self.tx, key))
        return self.counted(key)

    def counted(self, key: bytes) -> bytes | None:
        value = super().get(key)
        if 0 < len(key) <= 1024:  # others cannot exist
            (self.absent if value is None else self.present).add(key)
        return value

    def added(self, key: bytes, addition: Addition) -> None:
        below = counter_in(super().get(key), addition.field)
        assert below is not None
        own = addition.counter - addition.delta - below
        self.additions.setdefault((self.tx, key), []).append((own, addition))

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        looked = Range(start, end, reverse)
        self.ranges.append(looked)
        for key, value in super().scan(start, end, reverse):
            looked.reached = key
            self.present.add(key)
            self.seen.add((self.tx, key))
            yield key, value
        looked.complete = True

    def apply(self, writes: WriteSet) -> None:
        def scanned(key: bytes) -> bool:
            return any(looked.covers(key) for looked in self.ranges)

        read = {key for key in self.absent if key in self.last or not scanned(key)}
        read |= self.present | set(filter(scanned, self.last))
        self.accesses[0].extend((self.tx, key, self.last.get(key, -1)) for key in sorted(read))
        self.accesses[1].extend((self.tx, key, writes[key] is None) for key in sorted(writes))
        self.last.update(dict.fromkeys(writes, self.tx))
        for key in writes:
            self.history.setdefault(key, [(-1, super().get(key))]).append((self.tx, writes[key]))
        self.tx += 1
        self._start()
        super().apply(writes)

    def would_do(self, tx: int, key: bytes, writer: int) -> bool:
        """Would all adds of a transaction to a key have gone the same way on top of what `writer` left?"""
        history = self.history.get(key) or [(-1, super().get(key))]
        (value,) = (value for each, value in history if each == writer)
        for own, each in self.additions[tx, key]:
            below = counter_in(value, each.field)
            if below is None or each.way(below + own + each.delta) != each.way(each.counter):
                return False
        return True


def counter_in(value: bytes | None, field: tuple[int, int, int]) -> int | None:
    offset, width, size = field
    if value is not None and len(value) != size:
        return None
    return 0 if value is None else int.from_bytes(value[offset : offset + width], "big")


def accesses_of(record: Record, traced: TracingOverlay) -> Accesses:
    """What adds depend on is checked here; then they are the reads and writes that they are one after another."""
    keys = record.keys
    last: dict[int, int] = {}
    put: dict[int, int] = {}
    reads = []
    writes = iter([*record.writes.tolist(), (record.transactions + 1, 0, False, False)])
    next_tx, written, _, by_add = next(writes)
    for tx, key, writer, added in record.reads.tolist():
        while next_tx < tx:
            last[written] = next_tx
            assert not by_add or (next_tx, keys[written]) in traced.additions
            if not by_add:
                put[written] = next_tx
            next_tx, written, _, by_add = next(writes)
        reads.append((tx, keys[key], last.get(key, -1) if added else writer))
        if not added:
            continue
        where = (tx, keys[key], writer)
        assert (tx, keys[key]) not in traced.seen and traced.would_do(tx, keys[key], writer), where
        assert writer >= put.get(key, -1), where
        if writer > put.get(key, -1):
            assert not traced.would_do(tx, keys[key], put.get(key, -1)), where
    return reads, [(tx, keys[key], deleted) for tx, key, deleted, _ in record.writes.tolist()]


def recorded(outcome: Outcome) -> Record:
    assert outcome.record is not None
    return Record.of(*outcome.record)


def run_on_one_state(name: str, rng: random.Random, pools: Pools, adds: Counter[str], **vm_args: Any) -> int:
    """How often a block had to run again."""
    keys = rng.choice((3, 8, 20))
    chain = Chain(random_state(rng, keys))
    compared = Compared(loaded(ProgramVM, keys=keys, begin=random_begin(rng, keys), **vm_args), LIMITS, pools)
    traced = ThirdOpinion(compared.vm, LIMITS, TracingOverlay)
    retries = 0
    try:
        for number in range(BLOCKS_PER_STATE):
            if number == BLOCKS_PER_STATE // 2:
                chain.enter_sandbox()
            checked = chain.block(random_block(rng, keys))
            block = Block(checked.txs, checked.context, record=True)
            expected = traced.run(block, chain.base)
            found = compared.on(rng.choice(WORKERS), block, chain.base)
            where = f"seed {name} block {number}: {block.txs!r}"
            assert difference(expected, found) is None, where
            record = recorded(found)
            assert accesses_of(record, TracingOverlay.traced) == TracingOverlay.traced.accesses, where
            begun = [] if traced.begun is None else [traced.begun]
            assert [accesses_of(Record.of(*rows), before) for rows, before in zip(found.before, begun, strict=True)] == [
                before.accesses for before in begun
            ], where
            adds["alone"] += int((record.reads["added"] & (record.reads["writer"] < 0)).sum())
            adds["near a bound"] += int((record.reads["added"] & (record.reads["writer"] >= 0)).sum())
            adds["written"] += int(record.writes["added"].sum())
            assert record.keys == sorted(set(record.keys)) and record.transactions == len(block.txs)
            retries += found.stats.retries
            if rng.random() < 0.7:
                chain.commit(expected, chain.stage(expected))
    finally:
        compared.close()
        chain.close()
    return retries


@pytest.mark.sampled
def test_accesses_are_those_of_one_after_another() -> None:
    pools, adds = Pools(), Counter[str]()
    try:
        for name, rng in rngs(effort.seed(21), STATES):
            run_on_one_state(name, rng, pools, adds, **rng.choice(VARIANTS))
    finally:
        pools.close()
    assert min(adds[kind] for kind in ("alone", "near a bound", "written")) > 0, adds


@pytest.mark.sampled
def test_blocks_whose_records_outgrow_their_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arena of one page that grows page by page: it is full wherever that can happen, in the middle of the record too."""
    monkeypatch.setattr(parallel, "GUESS_PER_TRANSACTION", 0)
    monkeypatch.setattr(parallel, "GUESS_RECORD", 0)
    monkeypatch.setattr(ParallelExecutor, "_roomier", lambda self, reserved: reserved + mmap.PAGESIZE)
    pools = Pools(initial_bytes=1)
    retries = 0
    states = rngs(effort.seed(22))
    try:
        for _ in until(lambda: retries > 5 * TINY_STATES, TINY_STATES):
            retries += run_on_one_state(*next(states), pools, Counter(), bulk=50)
            pools.start_afresh()
    finally:
        pools.close()
