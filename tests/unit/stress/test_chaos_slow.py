"""A VM around which one goes that sleeps is the same VM, to the state and in every result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

import pytest

from ioi_exec import ExecutionMachine, Receipts, StateView, TxContext
from ioi_stress.chaos.messages import Slow
from ioi_stress.chaos.slow import sleeps, slowed

TXS = [b"%d" % (i % 7) for i in range(40)] + [b"bad"]


class Plain:
    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        state.put(tx, b"%d" % ctx.tx_index)
        return tx


class Full:
    version = 5

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def decode(self, tx: bytes) -> int:
        return int(tx)

    def keys(self, tx: int) -> Iterable[bytes]:
        return [b"%d" % tx]

    def execute(self, tx: int, state: StateView, ctx: TxContext) -> bytes:
        value = int(state.get(b"%d" % tx) or 0) + self.factor * tx
        state.put(b"%d" % tx, b"%d" % value)
        return b"%d" % value

    def end_block(self, state: StateView, ctx: TxContext, receipts: Receipts) -> None:
        state.put(b"receipts", b"%d" % sum(receipt.ok for receipt in receipts))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("vm, vm_args", [(Plain, None), (Full, {"factor": 3})])
def test_the_same_results(tmp_path: Path, vm: type, vm_args: Any, workers: int) -> None:
    slow = Slow(share=300, seconds=0.002, salt=8)
    assert 0 < sum(sleeps(tx, slow) for tx in TXS) < len(TXS)
    with ExecutionMachine.create(tmp_path / "state", vm, vm_args=vm_args, workers=0) as machine:
        expected, name = machine.execute(TXS), machine.info.vm.name
    instance = slowed(vm(**vm_args or {}), name, slow)
    with ExecutionMachine.open(tmp_path / "state", vm=instance, workers=workers, pin=False) as machine:
        found = machine.execute(TXS)
    assert (found.state_root, found.receipts_root, found.writes) == (expected.state_root, expected.receipts_root, expected.writes)
    assert list(found.receipts) == list(expected.receipts) and expected.failed == (vm is Full)
