"""A state to measure on, and the blocks written to it."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
from ioi_storage import Store, receipts_merkle_root

from tools.bench.figures import Figure

BYTES_A_KEY = 1_200  # of memory that Store.create takes, which holds all keys
_NO_RECEIPTS = receipts_merkle_root(b"", b"")


@dataclass
class Load:
    """Key number i is a hash of i, so that any number of them take no memory."""

    keys: int
    block: int
    value: int  # bytes
    inserts: int  # new keys in a thousand writes
    seed: int
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def key(self, number: int) -> bytes:
        return b"acct/" + hashlib.blake2b(b"%d %d" % (self.seed, number), digest_size=32).digest()

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        return ((self.key(number), self.rng.randbytes(self.value)) for number in range(self.keys))

    def some(self, count: int) -> list[bytes]:
        """Keys that are there."""
        return [self.key(self.rng.randrange(self.keys)) for _ in range(count)]

    def rounds(self, rounds: int, count: int) -> list[list[bytes]]:
        return [self.some(count) for _ in range(rounds)]

    def batch(self) -> list[tuple[bytes, bytes]]:
        fresh = self.block * self.inserts // 1000
        numbers = self.rng.sample(range(self.keys), min(self.keys, self.block - fresh))
        numbers += range(self.keys, self.keys + fresh)
        self.keys += fresh
        return sorted((self.key(number), self.rng.randbytes(self.value)) for number in numbers)


def create(load: Load, path: str, tree: str) -> tuple[Store, float]:
    """The state at version 0, and the seconds that took; making up the pairs is not counted where they fit into memory."""
    if load.keys * BYTES_A_KEY < psutil.virtual_memory().available:
        pairs = list(load.pairs())
        began = time.perf_counter()
        return Store.create(path, tree=tree, meta={}, genesis=pairs), time.perf_counter() - began
    began = time.perf_counter()
    return Store.load(path, tree=tree, meta={}, pairs=load.pairs()), time.perf_counter() - began


@dataclass
class Timed:
    """Milliseconds, one measurement a block; `cpu` is what this thread computed, the rest waited."""

    stage: list[float] = field(default_factory=list)
    stage_cpu: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    commit_cpu: list[float] = field(default_factory=list)

    def block(self, store: Store, load: Load) -> None:
        batch = load.batch()
        clocks = [(time.perf_counter(), time.thread_time())]
        staged = store.stage(batch)
        clocks.append((time.perf_counter(), time.thread_time()))
        store.commit(
            staged, receipts_root=_NO_RECEIPTS, height=staged.version, header=b"", transactions=len(batch), failed=0
        )
        clocks.append((time.perf_counter(), time.thread_time()))
        for before, after, wall, cpu in zip(clocks, clocks[1:], (self.stage, self.commit), (self.stage_cpu, self.commit_cpu)):
            wall.append(1e3 * (after[0] - before[0]))
            cpu.append(1e3 * (after[1] - before[1]))


def settle(store: Store) -> float:
    """Until the flat table has caught up; seconds."""
    began = time.perf_counter()
    store.settle()
    return time.perf_counter() - began


def blocks(store: Store, load: Load, count: int, warm: int) -> dict[str, Figure]:
    """Stage and commit: undisturbed, then block upon block while the upkeep process brings up the flat table."""
    for _ in range(warm):  # the levels of the tree that are kept in memory come with the blocks
        Timed().block(store, load)
    calm, busy, lag = Timed(), Timed(), []
    for _ in range(count):
        settle(store)
        calm.block(store, load)
    settle(store)
    for _ in range(count):
        busy.block(store, load)
        lag.append(len(store.lagging()))
    caught_up = settle(store)
    return {
        "stage ms": Figure.of(calm.stage),
        "stage cpu ms": Figure.of(calm.stage_cpu),
        "commit ms": Figure.of(calm.commit),
        "commit cpu ms": Figure.of(calm.commit_cpu),
        "stage ms, block upon block": Figure.of(busy.stage),
        "commit ms, block upon block": Figure.of(busy.commit),
        "the longest of them ms": Figure.of([max(busy.commit)]),
        "writes the flat table lags": Figure.of(lag),
        "catching up after it s": Figure.of([caught_up]),
    }


def first_block(path: str, load: Load) -> dict[str, Figure]:
    """Of a state just opened: no level of the tree is in memory yet."""
    timed = Timed()
    with Store.open(path) as store:
        timed.block(store, load)
    return {"first stage after opening ms": Figure.of(timed.stage)}


def file_mb(path: str) -> Figure:
    return Figure.of([os.path.getsize(os.path.join(path, "data.mdb")) / 2**20])
