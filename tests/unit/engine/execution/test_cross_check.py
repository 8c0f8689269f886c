"""What a VM does wrong is found whatever the schedule was, by transaction, key and both values."""

from __future__ import annotations

import datetime
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from ioi_exec import Diverged, EndContext, ExecutionMachine, Receipts, Revert, StateView, TxContext, VMFault
from ioi_exec.execution.cross_check.check import CrossCheckFailed
from ioi_exec.execution.executors import SharedPools
from ioi_exec.testing import NotSerializable, assert_serializable
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

GENESIS = {b"g%03d" % i: b"%d" % i for i in range(250)}
COUNTED: list[bytes] = []


class Honest:
    """Uses all of the state, and fails now and then."""

    def decode(self, tx: bytes) -> list[bytes]:
        return tx.split(b"+")

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        total = 0
        for key in tx:
            if key == b"fail":
                raise Revert("told to", code=9)
            if key == b"bug":
                raise KeyError(key)
            total += int(state.get(key) or b"0") + sum(1 for _ in state.scan(prefix=b"g", reverse=bool(ctx.tx_index % 2)))
            with state.checkpoint():
                state.put(key, b"%d" % (total + ctx.tx_index))
        state.delete(b"g%03d" % ctx.tx_index)
        return b"%d" % total

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        state.put(b"end", b"%d of %d" % (sum(receipt.ok for receipt in receipts), len(ctx.txs)))


class OfInstance(Honest):
    n = 0

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        self.n += 1
        state.put(b"n", b"%d" % self.n)
        return b""


class OfClass(Honest):
    seen: set[bytes] = set()

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        again = tx[0][:1] in OfClass.seen
        OfClass.seen.add(tx[0][:1])
        state.put(tx[0], b"again" if again else b"new")
        return b""


class OfModule(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        COUNTED.append(tx[0])
        return b"%d" % len(COUNTED)


class SetOrder(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        return ",".join({"alpha", "beta", "gamma", "delta", tx[0].decode()}).encode()


class Today(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        return str(datetime.date.today()).encode()


class Hour(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        return b"%d" % (time.time() // 3600)


class Chance(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        state.put(b"dice", b"%d" % random.randrange(10**12))
        return b""


class Process(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        return b"%d" % os.getpid()


class Address(Honest):
    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        return b"%d" % id(Address)


class OfDecode(Honest):
    """Changes what `decode` made, which serves again in a worker where its reads were overtaken."""

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        tx.append(b"once more")
        state.put(b"length", b"%d" % len(tx))
        return b""


class OfKeys(Honest):
    """What is asked for a hint is called in workers alone."""

    def keys(self, tx: list[bytes]) -> Iterator[bytes]:
        yield tx[0]
        tx.clear()

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        state.put(b"length", b"%d" % len(tx))
        return b""


class InEndBlock(Honest):
    ends = 0

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        InEndBlock.ends += 1
        state.put(b"ends", b"%d" % InEndBlock.ends)


class OneOfThem(Honest):
    """Only one of the transactions is not as it should be."""

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        if ctx.tx_index == 1:
            state.put(b"odd", os.urandom(8))
        return super().execute(tx, state, ctx)


WRONG: list[tuple[type, int, bytes | None]] = [
    (OfInstance, 0, b"n"), (OfClass, 0, b"a"), (OfModule, 0, None), (SetOrder, 0, None), (Today, 0, None), (Hour, 0, None),
    (Chance, 0, b"dice"), (Process, 0, None), (Address, 0, None), (InEndBlock, 4, b"ends"), (OneOfThem, 1, b"odd"),
    (OfDecode, 0, b"length"), (OfKeys, 0, b"length"),
]
TXS = [b"a", b"b+c", b"fail", b"a+bug"]


@pytest.fixture(autouse=True)
def as_imported() -> None:
    """What an earlier test's execution in this process has left in these."""
    OfClass.seen.clear()
    COUNTED.clear()
    InEndBlock.ends = 0


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


def checking(pools: SharedPools, vm: type, workers: int, **options: Any) -> ExecutionMachine:
    options = {"genesis": GENESIS, "workers": workers, "pin": False, "executors": pools.executors(), **options}
    return ExecutionMachine.create(None, vm, cross_check=True, **options)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_honest_vm_passes(pools: SharedPools, workers: int) -> None:
    with checking(pools, Honest, workers) as machine:
        for sequential in (False, True):
            result = machine.execute(TXS * 5, sequential=sequential)
            machine.commit(result)
        with machine.sandbox():
            machine.commit(machine.execute(TXS))
            assert machine.execute(TXS).failed == 2
        assert machine.version == 2 and machine.get(b"end") == b"10 of 20"


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("vm", "tx_index", "key"), WRONG, ids=[vm.__name__ for vm, _, _ in WRONG])
def test_what_is_not_the_same_every_time_is_named(
    pools: SharedPools, vm: type, tx_index: int, key: bytes | None, workers: int
) -> None:
    with checking(pools, vm, workers) as machine:
        root = machine.root
        with pytest.raises(CrossCheckFailed, match="Nothing was staged") as caught:
            machine.execute(TXS)
        error = caught.value
        assert isinstance(error, Diverged) and error.exit_status == 5
        assert (error.tx_index, error.key) == (tx_index, key) and error.first != error.second
        for shown in (error.key, error.first, error.second):
            assert not isinstance(shown, bytes) or shown.hex() in str(error)
        assert "b'" not in str(error)
        assert (machine.version, machine.root) == (0, root)


@pytest.mark.parametrize("vm", [OfInstance, OfClass, OfModule, SetOrder, Chance])
@pytest.mark.parametrize("transactions", [1, 5, 100])
def test_assert_serializable_finds_it_too(pools: SharedPools, vm: type, transactions: int) -> None:
    with pytest.raises(NotSerializable) as caught:
        assert_serializable(vm, GENESIS, [b"%d" % i for i in range(transactions)], workers=(1,), pools=pools)
    assert caught.value.tx_index is not None or caught.value.key is not None


def test_assert_serializable_of_an_honest_vm(pools: SharedPools) -> None:
    assert assert_serializable(Honest, GENESIS, TXS * 10, workers=(2,), pools=pools).failed == 20


def test_only_so_many_are_checked_as_wanted(pools: SharedPools) -> None:
    assert_serializable(OneOfThem, GENESIS, TXS[:1], workers=(1,), pools=pools)
    with pytest.raises(NotSerializable):
        assert_serializable(OneOfThem, GENESIS, TXS, workers=(), pools=pools)
    assert_serializable(OneOfThem, GENESIS, TXS, workers=(), pools=pools, cross_check=1)
    assert_serializable(OneOfThem, GENESIS, TXS, workers=(), pools=pools, cross_check=0)


class Ends(Honest):
    """Ends the process of a child of the cross-check, or raises what is no receipt there."""

    def execute(self, tx: list[bytes], state: StateView, ctx: TxContext) -> bytes:
        if ctx.tx_index == 2 and open("/proc/self/comm").read() == "ioi-cross-check\n":
            if tx[0] == b"kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise MemoryError
        return b""


@pytest.mark.parametrize(("tx", "says"), [(b"kill", "it ended its process"), (b"fault", "MemoryError")])
def test_a_transaction_that_comes_to_no_receipt_when_executed_again(pools: SharedPools, tx: bytes, says: str) -> None:
    with checking(pools, Ends, 1) as machine:
        with pytest.raises((CrossCheckFailed, VMFault), match=f"transaction 2 (?s:.*){says}") as caught:
            machine.execute([b"a", b"b", tx])
        assert getattr(caught.value, "tx_index") == 2  # noqa: B009


def test_a_vm_in_c_is_checked_against_one_by_one(pools: SharedPools) -> None:
    ada, bob = b"a" * 32, b"b" * 32
    genesis = {account_key(ada): encode_account(9, 0)}
    with ExecutionMachine.create(None, genesis=genesis, workers=2, pin=False, cross_check=True, executors=pools.executors()) as machine:
        assert machine.execute([encode_transfer(ada, bob, 1, nonce=i) for i in range(5)]).failed == 0


def test_a_default_timeout_of_sockets_is_none_of_its_channels(pools: SharedPools) -> None:
    former = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.1)
    try:
        with checking(pools, Honest, 1) as machine:
            assert machine.execute(TXS).failed == 2
    finally:
        socket.setdefaulttimeout(former)


def test_no_process_is_left(pools: SharedPools) -> None:
    def fds() -> int:
        return len(os.listdir("/proc/self/fd"))

    with checking(pools, Honest, 0) as machine:
        machine.execute(TXS)
        before = fds()
        for _ in range(3):
            machine.execute(TXS)
        assert fds() == before


WRONG_VM = """
class V:
    n = 0
    def execute(self, tx, state, ctx):
        self.n += 1
        state.put(b"k", b"%d" % self.n)
"""


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG_VM)
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    (tmp_path / "block.jsonl").write_text('{"tx": "00"}\n' * 3)
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "notes")}

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ioi_exec", *words, "--json"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)

    assert ran("init", "state", "--vm", "wrong:V", "--genesis", "genesis.json").returncode == 0
    failed = ran("run", "state", "block.jsonl", "--workers", "1", "--cross-check")
    said = json.loads(failed.stderr.splitlines()[-1])
    assert (failed.returncode, said["exit"], said["kind"]) == (5, 5, "CrossCheckFailed") and "transaction 0" in said["error"]
    assert json.loads(ran("info", "state").stdout)["version"] == 0
    assert ran("run", "state", "block.jsonl", "--workers", "1").returncode == 0


class ForksOnce:
    """Comes back in a forked child first, whose output is another."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return b"parent"
        state.get(b"g001")
        return b"child"


def test_a_forked_child_that_comes_back_first_is_heard_nowhere() -> None:
    with ExecutionMachine.create(None, ForksOnce, workers=1, pin=False, cross_check=True) as machine:
        assert machine.execute([b"x"]).receipts[0].output == b"parent"
