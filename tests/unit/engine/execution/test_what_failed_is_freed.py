"""What a failed transaction held is gone when the next one begins, without the garbage collector, however it was called: what a
finalizer does would else be done in the middle of some other transaction, here another than there."""

from __future__ import annotations

import decimal
import gc
import sys
from typing import Any, Iterator

import pytest

from ioi_exec import ExecutionMachine, Revert, StateView, TxContext, VMFault
from ioi_exec.execution.executors import SharedPools


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Also for VMs at workers=0; those in workers turn it off themselves."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Held:
    alive = 0

    def __init__(self) -> None:
        Held.alive += 1

    def __del__(self) -> None:
        Held.alive -= 1


class Looking(Revert):
    """Its code is how deep its traceback is, and whether it is under way."""

    def __init__(self) -> None:
        super().__init__("", 1)

    def __getattribute__(self, name: str) -> Any:
        if name != "code":
            return super().__getattribute__(name)
        depth, trace = 0, self.__traceback__
        while trace is not None:
            depth, trace = depth + 1, trace.tb_next
        return 10 * depth + (sys.exc_info()[1] is self)


ERRORS: dict[bytes, Any] = {
    b"value": ValueError, b"revert": lambda: Revert("no", 9), b"looking": Looking, b"group": lambda: OSError("own"),
    b"machine": MemoryError,
}


class Holds:
    """Says how many of what failed transactions held is alive; each reads what the one before it wrote."""

    def __init__(self) -> None:
        gc.disable()

    def fail(self, tx: bytes) -> None:
        held, kind = Held(), ERRORS.get(tx)
        if kind is not None:
            raise kind()
        del held

    def execute(self, tx: Any, state: StateView, ctx: TxContext) -> bytes:
        count = int(state.get(b"count") or b"0")
        self.fail(tx)
        state.put(b"count", b"%d" % (count + 1))
        return b"%d %d" % (count, Held.alive)


class HoldsInDecode(Holds):
    def decode(self, tx: bytes) -> bytes:
        self.fail(tx)
        return tx


class HoldsInKeys(Holds):
    def keys(self, tx: bytes) -> list[bytes]:
        self.fail(tx)
        return [b"count"]


class InAGenerator:
    """Stops in the middle of a generator that has a decimal context of its own."""

    def __init__(self) -> None:
        gc.disable()

    def rounds(self) -> Iterator[decimal.Context]:
        with decimal.localcontext() as context:
            context.prec = 5
            yield context

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx != b"ok":
            rounds = self.rounds()
            next(rounds)
            raise ValueError
        decimal.getcontext().prec = 40
        gc.collect()
        return str(decimal.Decimal(1) / 3).encode()


class InAGeneratorOfDecode(InAGenerator):
    def decode(self, tx: bytes) -> bytes:
        if tx != b"ok":
            rounds = self.rounds()
            next(rounds)
            raise ValueError
        return tx


BLOCK = [b"value", b"ok", b"revert", b"ok", b"looking", b"group", b"ok"] * 6


@pytest.mark.parametrize("vm", [Holds, HoldsInDecode, HoldsInKeys, InAGenerator, InAGeneratorOfDecode])
def test_what_a_failed_transaction_held_is_gone(pools: SharedPools, vm: type) -> None:
    found = []
    for workers in (0, 1, 2):
        with ExecutionMachine.create(None, vm, workers=workers, pin=False, executors=pools.executors()) as machine:
            for alone in (False, True):
                found.append(list(machine.execute(BLOCK, sequential=alone).receipts))
    assert all(one == found[0] for one in found[1:]), [[(r.code, r.output) for r in one[:7]] for one in found]
    done = [receipt.output for receipt in found[0] if receipt.ok]
    if issubclass(vm, Holds):
        assert done == [b"%d 0" % i for i in range(len(done))]
        assert found[0][4].code % 10 == 1  # under way
    else:
        assert {len(output) for output in done} == {42}


@pytest.mark.parametrize("vm", [Holds, HoldsInDecode])
@pytest.mark.parametrize("workers", [0, 1])
def test_what_stopped_a_block_is_gone_in_the_next(pools: SharedPools, vm: type, workers: int) -> None:
    with ExecutionMachine.create(None, vm, workers=workers, pin=False, executors=pools.executors()) as machine:
        for alone in (False, True):
            try:
                machine.execute([b"ok", b"machine"], sequential=alone)
            except VMFault as fault:
                assert fault.tx_index == 1
            else:
                pytest.fail("the machine's fault stops a block")
            assert machine.execute([b"ok"], sequential=alone).receipts[0].output == b"0 0"
