"""The same block in parallel and one by one, over states that live on; and what to do when the two differ."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import ioi_storage
from ioi_shm._core import CACHE_LEAST
from ioi_shm.memory import STEP_BYTES
from ioi_storage import State
from naive_state import applied, root_of
from third_opinion import ThirdOpinion

from ioi_exec import BlockHeader, Limits, Policy
from ioi_exec.block.preparation import block_context
from ioi_exec.execution.executor import Block, Outcome
from ioi_exec.execution.hooks import run_block
from ioi_exec.execution.parallel import ParallelExecutor
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.execution.workers.pool import Pool
from ioi_exec.execution.workers.templates import Templates
from ioi_exec.state.base import CommittedState
from ioi_exec.state.cache import CommittedCache
from ioi_exec.vm.loading import LoadedVM, load_vm

WORKERS = (1, 2, 3, 4, 8)
CACHES = (0, CACHE_LEAST + 8 * 128, 6_000, Limits.cache_bytes)
"""Bytes of the cache of committed values: none, a few keys, some, all."""


class Pools:
    """One pool for each worker count, alive for the whole run and shared by all VMs."""

    def __init__(self, initial_bytes: int = STEP_BYTES) -> None:
        self._initial_bytes = initial_bytes
        self._pools: dict[int, Pool] = {}
        self.templates = Templates(most=8)

    def __getitem__(self, workers: int) -> Pool:
        if workers not in self._pools:
            self._pools[workers] = Pool(workers, pin=False, initial_bytes=self._initial_bytes)
        return self._pools[workers]

    def start_afresh(self) -> None:
        """The next block of each pool finds new workers and a new arena."""
        for pool in self._pools.values():
            pool.kill()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self.templates.close()


@dataclass
class Compared:
    """A VM on one state, in parallel, one by one, and one by one in plain Python."""

    vm: LoadedVM
    limits: Limits
    pools: Pools

    def __post_init__(self) -> None:
        self._sequential = SequentialExecutor(self.vm, self.limits)
        self._third = ThirdOpinion(self.vm, self.limits)
        self._parallel: dict[int, ParallelExecutor] = {}

    def one_by_one(self, block: Block, base: CommittedState) -> Outcome:
        return run_block(self._sequential, self.vm, block, base)

    def in_plain_python(self, block: Block, base: CommittedState) -> Outcome:
        return self._third.run(block, base)

    def on(self, workers: int, block: Block, base: CommittedState) -> Outcome:
        if workers not in self._parallel:
            self._parallel[workers] = ParallelExecutor(self.vm, self.limits, workers, False, self.pools.templates, self.pools[workers])
        return run_block(self._parallel[workers], self.vm, block, base)

    def close(self) -> None:
        """Before the state is closed. The pools live on."""
        for executor in self._parallel.values():
            executor.close()
        self._parallel.clear()


class Chain:
    """A state in memory, a model of it, and sandboxes on top."""

    def __init__(self, genesis: dict[bytes, bytes], cache_bytes: int = Limits.cache_bytes) -> None:
        self.cache = CommittedCache(cache_bytes)
        self.store = ioi_storage.Store.create(None, tree="jellyfish", meta={}, genesis=sorted(genesis.items()), height=0)
        self.layers: list[State] = [self.store]
        self.models = [genesis]
        self.policy = Policy.named("default")

    @property
    def base(self) -> CommittedState:
        return CommittedState(list(self.layers), self.cache)

    @property
    def model(self) -> dict[bytes, bytes]:
        return self.models[-1]

    def block(self, txs: list[bytes]) -> Block:
        top = self.layers[-1]
        header = BlockHeader(height=top.version + 1, time_ns=top.version, proposer=b"p" * 20, extra=b"extra")
        return Block(txs, block_context(header, top.root), self.policy)

    def stage(self, outcome: Outcome) -> Any:
        """The writes staged; their root checked against the model's."""
        staged = self.layers[-1].stage(outcome.writes)
        assert staged.root == root_of(applied(self.model, outcome.writes)), "the tree and its definition differ"
        return staged

    def commit(self, outcome: Outcome, staged: Any) -> None:
        top: Any = self.layers[-1]
        parent = top.stand
        top.commit(
            staged, receipts_root=bytes(32), height=top.version + 1, header=b"", transactions=len(outcome.receipts), failed=0
        )
        if top is self.store:
            self.cache.committed(parent, top.stand, staged.changes)
        self.models[-1] = applied(self.model, outcome.writes)

    def enter_sandbox(self) -> None:
        self.layers.append(self.layers[-1].overlay())
        self.models.append(self.model)

    def leave_sandbox(self) -> None:
        top: Any = self.layers.pop()
        top.close()
        self.models.pop()

    def close(self) -> None:
        while len(self.layers) > 1:
            self.leave_sandbox()
        self.store.close()
        self.cache.close()


def difference(expected: Outcome, found: Outcome) -> str | None:
    """What is not the same, None if all is."""
    for i, (left, right) in enumerate(zip(expected.receipts, found.receipts)):
        if left != right:
            return f"receipt {i}: one by one {left}, in parallel {right}"
    if len(expected.receipts) != len(found.receipts):
        return f"{len(found.receipts)} receipts instead of {len(expected.receipts)}"
    left_writes, right_writes = dict(expected.writes), dict(found.writes)
    for key in sorted(left_writes.keys() | right_writes.keys()):
        values = left_writes.get(key, "not written"), right_writes.get(key, "not written")
        if values[0] != values[1]:
            return f"key {key!r}: one by one {values[0]!r}, in parallel {values[1]!r}"
    if expected.writes != found.writes:
        return "the writes are not in key order, or a key occurs twice"
    return None


def shrunk(txs: list[bytes], differs: Callable[[list[bytes]], bool]) -> list[bytes]:
    """A smaller block that still differs, for a person to read. Schedules vary, so each try is repeated."""
    size = len(txs) // 2
    while size:
        for start in range(0, len(txs), size):
            fewer = txs[:start] + txs[start + size :]
            if fewer and any(differs(fewer) for _ in range(30)):
                txs = fewer
                break
        else:
            size //= 2
    return txs


def check(compared: Compared, chain: Chain, txs: list[bytes], workers: list[int], seed: object) -> Outcome:
    """Execute at several worker counts. AssertionError with the seed and a smaller block if anything differs."""
    block = chain.block(txs)
    expected = compared.one_by_one(block, chain.base)
    text = difference(compared.in_plain_python(block, chain.base), expected)
    assert text is None, f"seed {seed}, VM {compared.vm.spec}: left by the third opinion: {text}\nstate {chain.model}\n{txs!r}"
    for count in workers:
        found = compared.on(count, block, chain.base)
        text = difference(expected, found)
        if text is None:
            continue

        def differs(fewer: list[bytes]) -> bool:
            smaller = chain.block(fewer)
            left = compared.one_by_one(smaller, chain.base)
            return difference(left, compared.on(count, smaller, chain.base)) is not None

        small = b"\n".join(shrunk(txs, differs)).decode()
        raise AssertionError(
            f"seed {seed}, {count} workers, {chain.policy}, VM {compared.vm.spec}: {text}\nstate {chain.model}\nshrunk to:\n{small}"
        )
    return expected


def rngs(seed: int, most: int | None = None) -> Iterator[tuple[str, random.Random]]:
    for number in itertools.count() if most is None else range(most):
        name = f"{seed}/{number}"
        yield name, random.Random(name)


def loaded(vm: Any, **args: Any) -> LoadedVM:
    return load_vm(vm, args)
