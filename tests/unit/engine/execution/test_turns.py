"""What a VM in a worker can see of how it is called, where the engine calls it from C: as one by one in this process."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import Any

import pytest

from ioi_exec import ExecutionMachine, Limits, Revert, TxContext, VMFault
from ioi_exec.execution.executors import SharedPools

TXS = [b"%d" % i for i in range(12)]


@pytest.fixture(scope="module")
def pools() -> Any:
    pools = SharedPools()
    yield pools
    pools.close()


def outcomes(pools: SharedPools, vm: type, txs: list[bytes] = TXS, limits: Limits | None = None) -> list[Any]:
    """What came of a block at 0 and 1 workers, twice each."""
    found = []
    for workers in (0, 1):
        with ExecutionMachine.create(
            None, vm, workers=workers, pin=False, executors=pools.executors(), limits=limits
        ) as machine:
            for _ in range(2):
                try:
                    result = machine.execute(txs)
                    found.append((list(result.receipts), result.writes))
                except VMFault as fault:
                    found.append((fault.tx_index, str(fault)))
    return found


def equal(found: list[Any]) -> Any:
    assert all(one == found[0] for one in found), found
    return found[0]


class KeepsContexts:
    """Contexts that were kept stay what they were; states that were kept are refused, whether the next is the same object or not."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def execute(self, tx: bytes, state: Any, ctx: TxContext) -> bytes:
        if ctx.tx_index == 0:
            self.kept.clear()
        seen: list[Any] = [type(ctx).__name__, ctx.tx_index, ctx == TxContext(*ctx), hash(ctx) == hash(tuple(ctx)), ctx._fields]
        for old, get, index in self.kept:
            seen.append((old.tx_index == index, old.height))
            try:
                get(b"k")
            except RuntimeError as error:
                seen.append(str(error))
        if int(tx) % 3 == 0:
            self.kept.append((ctx, state.get, ctx.tx_index))
        state.put(b"k", tx)
        return repr(seen).encode()


def test_what_was_kept_of_a_transaction(pools: SharedPools) -> None:
    receipts, _ = equal(outcomes(pools, KeepsContexts, limits=Limits(output_bytes=10_000)))
    assert b"used after its transaction ended" in receipts[-1].output and b"False" not in receipts[-1].output


class Returns:
    """Everything that `execute` may return, or raise."""

    def execute(self, tx: bytes, state: Any, ctx: TxContext) -> Any:
        state.put(b"by/" + tx, tx)
        kinds: list[Any] = [
            None, b"", b"x" * 8, b"x" * 9, type("Sub", (bytes,), {})(b"sub"), "text", bytearray(b"a"), 5,
            ValueError, Revert("no", 7), KeyError("k"), PermissionError("not the owner"),
        ]
        value = kinds[int(tx)]
        if isinstance(value, type) or isinstance(value, Exception):
            raise value
        return value


def test_everything_that_is_returned_or_raised(pools: SharedPools) -> None:
    receipts, _ = equal(outcomes(pools, Returns, limits=Limits(output_bytes=8)))
    codes = [0, 0, 0, 2, 0, 2, 2, 2, 2, 7, 2, 2]
    assert [receipt.code for receipt in receipts] == codes and receipts[4].output == b"sub"


class Order:
    """`execute` is looked up before its transaction is decoded, both once an execution."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def decode(self, tx: bytes) -> int:
        if tx == b"5":
            raise ValueError(tx)
        return int(tx)

    def execute(self, tx: int, state: Any, ctx: TxContext) -> bytes:
        return b"%d %d" % (tx, len(self.seen))

    def __getattribute__(self, name: str) -> Any:
        if name == "execute":
            self.seen.append(name)
            if len(self.seen) % 7 == 0:
                raise LookupError
        return super().__getattribute__(name)


def test_execute_is_looked_up_first(pools: SharedPools) -> None:
    equal(outcomes(pools, Order)[::2])  # what it counts goes on from block to block


class _Loop:
    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: Any) -> None:
        pass


class RaisesFromC:
    """An `execute` without a frame of Python: an OSError out of it is taken for the system's, which stops the block."""

    execute = functools.partial(max, key=operator.methodcaller("result"))

    def decode(self, tx: bytes) -> Any:
        future: Any = asyncio.Future(loop=_Loop())  # type: ignore[arg-type]
        future.set_exception(OSError("without a number"))
        return future


def test_an_error_without_a_frame_of_the_vms(pools: SharedPools) -> None:
    index, text = equal(outcomes(pools, RaisesFromC))
    assert index == 0 and "OSError" in text
