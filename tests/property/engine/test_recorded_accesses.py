"""What a record says transactions read and wrote is what they read and wrote one after another; and recording changes nothing."""

from __future__ import annotations

import mmap
import random
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
from third_opinion import Below, Overlay, ThirdOpinion, WriteSet, within
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
        self._start()

    def _start(self) -> None:
        self.absent: set[bytes] = set()
        self.present: set[bytes] = set()
        self.ranges: list[Range] = []

    def get(self, key: bytes) -> bytes | None:
        value = super().get(key)
        if 0 < len(key) <= 1024:  # others cannot exist
            (self.absent if value is None else self.present).add(key)
        return value

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        looked = Range(start, end, reverse)
        self.ranges.append(looked)
        for key, value in super().scan(start, end, reverse):
            looked.reached = key
            self.present.add(key)
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
        self.tx += 1
        self._start()
        super().apply(writes)


def accesses_of(record: Record) -> Accesses:
    keys = record.keys
    reads = [(tx, keys[key], writer) for tx, key, writer in record.reads.tolist()]
    return reads, [(tx, keys[key], deleted) for tx, key, deleted in record.writes.tolist()]


def recorded(outcome: Outcome) -> Record:
    assert outcome.record is not None
    return Record.of(*outcome.record)


def run_on_one_state(name: str, rng: random.Random, pools: Pools, **vm_args: Any) -> int:
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
            assert accesses_of(record) == TracingOverlay.traced.accesses, where
            begun = [] if traced.begun is None else [traced.begun]
            assert [accesses_of(Record.of(*rows)) for rows in found.before] == [before.accesses for before in begun], where
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
    pools = Pools()
    try:
        for name, rng in rngs(effort.seed(21), STATES):
            run_on_one_state(name, rng, pools, **rng.choice(VARIANTS))
    finally:
        pools.close()


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
            retries += run_on_one_state(*next(states), pools, bulk=50)
            pools.start_afresh()
    finally:
        pools.close()
