"""What workers read is the committed state, whatever happened to the cache they find it in: a dict says what that is.

Two machines on shared workers, with VMs of their own, over states on disk whose table of latest values lags behind; each block
reads all keys, as they are before it, between its transactions and at its end. IOI_CACHE_HISTORIES histories.
"""

from __future__ import annotations

import json
import os
import random
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

import effort
import pytest
from differential import CACHES, rngs
from ioi_storage.disk import commit
from ioi_storage.latest import upkeep
from reading_vm import KEYS, ReadingVM, told

from ioi_exec import BlockResult, ExecutionMachine, Limits, Policy
from ioi_exec.execution.executors import SharedPools
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

HISTORIES = effort.amount("IOI_CACHE_HISTORIES", sample=8, many=40)
STEPS = 30

Model = dict[bytes, bytes]


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


def random_tx(rng: random.Random) -> dict[str, Any]:
    tx: dict[str, Any] = {}
    for _ in range(rng.randint(0, 3)):
        value = None if rng.random() < 0.3 else rng.randbytes(rng.choice((0, 3, 30, 30, 200, 700))).hex()
        tx.setdefault("put", {})[rng.randrange(len(KEYS))] = value
    if rng.random() < 0.2:
        tx["fail"] = True
    if rng.random() < 0.3:
        tx["get"] = True
    if rng.random() < 0.05:
        tx["scan"] = rng.random() < 0.5
    return tx


def executed(tx: dict[str, Any], model: Model) -> tuple[bytes, Model]:
    """What a transaction returns, and the state after it."""
    out = b""
    if "get" in tx:
        out = told([model.get(key) for key in KEYS])
    if "scan" in tx:
        out = told([part for pair in sorted(model.items(), reverse=tx["scan"]) for part in pair])
    if tx.get("fail"):
        return b"", model
    after = dict(model)
    for number, value in tx.get("put", {}).items():
        after.pop(KEYS[number], None)
        if value is not None:
            after[KEYS[number]] = bytes.fromhex(value)
    return out, after


def up_to(machine: ExecutionMachine, rng: random.Random) -> None:
    """What the upkeep process does, up to some version."""
    store = machine._store
    version = rng.randint(store.flat, store.version)
    store._view.drop()
    for _ in upkeep.JOBS["flat"](store._handle.env, store._handle.begin, store._handle.tables, version):
        pass
    assert store.flat == version


class Life:
    """One machine over its state, and a model of each of its versions."""

    def __init__(self, where: Path, rng: random.Random, pools: SharedPools) -> None:
        self.where = where
        self.rng = rng
        self.pools = pools
        self.options: dict[str, Any] = dict(
            workers=rng.choice((1, 2, 3)), pin=False, limits=Limits(cache_bytes=rng.choice(CACHES)), vm=ReadingVM,
            vm_args={"hints": rng.random() < 0.5},
        )
        self.models: list[Model] = [{key: rng.randbytes(5) for key in KEYS if rng.random() < 0.5}]
        self.machine = ExecutionMachine.create(
            where, genesis=self.models[0], executors=pools.executors(), tree=rng.choice(("jellyfish", "iavl")), **self.options
        )

    def block(self, model: Model) -> tuple[BlockResult, Model]:
        txs = [{"get": True}, *(random_tx(self.rng) for _ in range(self.rng.randint(0, 6))), {"get": True}]
        if self.rng.random() < 0.2:
            txs.insert(0, {"scan": self.rng.random() < 0.5})
        result = self.machine.execute([json.dumps(tx).encode() for tx in txs])
        for index, tx in enumerate(txs):
            out, model = executed(tx, model)
            assert result.receipts[index].output == out, f"transaction {index} of {txs}"
        return result, model

    def blocks(self) -> None:
        """Several staged on one state; one of them is committed, or none."""
        staged = [self.block(self.models[-1]) for _ in range(self.rng.randint(1, 3))]
        if self.rng.random() < 0.8:
            self.commit(*self.rng.choice(staged))

    def commit(self, result: BlockResult, model: Model) -> None:
        self.machine.commit(result)
        self.models.append(model)

    def sandbox(self) -> None:
        model = self.models[-1]
        with self.machine.sandbox():
            for _ in range(self.rng.randint(1, 3)):
                result, after = self.block(model)
                if self.rng.random() < 0.7:
                    self.machine.commit(result)
                    model = after
        self.block(self.models[-1])

    def rolled_back(self) -> None:
        to = self.rng.randrange(len(self.models))
        self.machine.rollback(to)
        del self.models[to + 1 :]

    def a_commit_fails(self) -> None:
        """Before or after it is durable; the second time the state has moved on."""
        result, model = self.block(self.models[-1])
        write, late = commit.write, self.rng.random() < 0.5

        def fails(*arguments: Any) -> None:
            if late:
                write(*arguments)
            raise Interrupted

        commit.write = fails
        try:
            with pytest.raises(Interrupted):
                self.machine.commit(result)
        finally:
            commit.write = write
        if late:
            self.models.append(model)
        assert self.machine.version == len(self.models) - 1

    def interrupted_while_it_is_kept(self) -> None:
        """The version is committed, and not all of it has come to the cache."""
        result, model = self.block(self.models[-1])
        shared = self.machine._cache._shared
        if shared is None:
            return
        write = shared.write

        def cut(blob: bytes, ends: bytes, version: int, flat: int) -> Any:
            write(blob, ends[: len(ends) // 32 * 16], version, flat)
            raise Interrupted

        shared.write = cut  # type: ignore[method-assign]
        try:
            with pytest.raises(Interrupted):
                self.machine.commit(result)
        finally:
            shared.write = write  # type: ignore[method-assign]
        self.models.append(model)

    def upkeep(self) -> None:
        """What the upkeep process does, up to some version."""
        up_to(self.machine, self.rng)

    def pruned(self) -> None:
        """All versions stay, for rollbacks; but the upkeep that goes with it is done."""
        self.machine.prune(1_000)

    def workers_killed(self) -> None:
        for pid in self.machine.worker_pids:
            with suppress(ProcessLookupError):  # two lives may share them
                os.kill(pid, signal.SIGKILL)

    def one_by_one(self) -> None:
        """On a machine that executes elsewhere now and then."""
        result = self.machine.execute([json.dumps(tx).encode() for tx in [random_tx(self.rng)]], sequential=True)
        self.machine.commit(result)
        self.models.append(dict(self.machine.scan()))

    def reopened(self) -> None:
        self.machine.close()
        self.machine = ExecutionMachine.open(self.where, executors=self.pools.executors(), **self.options)


STEP = {
    Life.blocks: 20, Life.sandbox: 3, Life.rolled_back: 2, Life.a_commit_fails: 2, Life.interrupted_while_it_is_kept: 2,
    Life.upkeep: 4, Life.pruned: 1, Life.workers_killed: 1, Life.one_by_one: 1, Life.reopened: 2,
}


@pytest.mark.sampled
def test_what_is_read_is_what_is_committed(pools: SharedPools, tmp_path: Path) -> None:
    spilled = full = 0
    for name, rng in rngs(effort.seed(11), HISTORIES):
        print(f"history {name}")
        lives = [Life(tmp_path / f"{name.replace('/', '-')}-{i}", rng, pools) for i in range(2)]
        try:
            for _ in range(STEPS):
                life = rng.choice(lives)
                rng.choices(list(STEP), list(STEP.values()))[0](life)
                cache = life.machine._cache
                spilled += bool(cache._spilled)
                full += cache._shared is not None and cache._shared.cache.records >= len(KEYS) - 10
        finally:
            for life in lives:
                life.machine.close()
    assert spilled and full, (spilled, full)


ACCOUNTS = 30


def address(number: int) -> bytes:
    return number.to_bytes(32, "big")


def random_transfers(rng: random.Random, nonces: list[int]) -> list[bytes]:
    txs = []
    for _ in range(rng.choice((1, 5, 40))):
        sender = rng.randrange(ACCOUNTS)
        nonce = nonces[sender] if rng.random() < 0.9 else 7
        txs.append(encode_transfer(address(sender), address(rng.randrange(2 * ACCOUNTS)), rng.randrange(50), nonce=nonce))
        nonces[sender] += nonce == nonces[sender]
    return txs


@pytest.mark.sampled
def test_payments_read_the_same_in_this_process_and_in_workers(chooses: None, pools: SharedPools, tmp_path: Path) -> None:
    """A VM in C: small blocks are executed in this process, which reads the cache and keeps in it what it had to read; a policy has
    others in workers. Beside it a machine without cache and workers."""
    genesis = {account_key(address(i)): encode_account(10**6, 0) for i in range(ACCOUNTS)}
    here = there = spilled = 0
    for name, rng in rngs(effort.seed(12), HISTORIES):
        limits = Limits(cache_bytes=rng.choice(CACHES[1:]))
        options: dict[str, Any] = dict(genesis=genesis, executors=pools.executors())
        with ExecutionMachine.create(
            tmp_path / name.replace("/", "-"), workers=2, pin=False, limits=limits, **options
        ) as machine, ExecutionMachine.create(None, workers=0, **options) as reference:
            nonces = [[0] * ACCOUNTS]
            for _ in range(STEPS):
                step = rng.random()
                if step < 0.1:
                    up_to(machine, rng)
                elif step < 0.15:
                    to = rng.randrange(len(nonces))
                    for each in (machine, reference):
                        each.rollback(to)
                    del nonces[to + 1 :]
                after = list(nonces[-1])
                txs = random_transfers(rng, after)
                policy = Policy(choose=rng.random() < 0.5)
                if rng.random() < 0.1:
                    with machine.sandbox(), reference.sandbox():
                        for _ in range(2):
                            found, expected = machine.execute(txs, policy=policy), reference.execute(txs)
                            same(found, expected, name)
                            machine.commit(found)
                            reference.commit(expected)
                found = machine.execute(txs, policy=policy)
                expected = reference.execute(txs)
                same(found, expected, name)
                here += found.stats.workers == 0
                there += found.stats.workers > 0
                spilled += bool(machine._cache._spilled)
                if rng.random() < 0.8:
                    machine.commit(found)
                    reference.commit(expected)
                    nonces.append(after)
    assert here and there and spilled, (here, there, spilled)


def same(found: BlockResult, expected: BlockResult, name: str) -> None:
    assert (found.state_root, found.receipts_root) == (expected.state_root, expected.receipts_root), f"history {name}"
