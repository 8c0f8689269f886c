"""assert_serializable: quiet when results agree; names transaction, key and both values when they do not."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ioi_exec import (
    BlockHeader,
    EndContext,
    Limits,
    Receipt,
    Receipts,
    Revert,
    StateView,
    TxContext,
)
from ioi_exec.block.progress import OnProgress
from ioi_exec.block.result import Stats
from ioi_exec.execution.executor import BaseState, Block, Executor, OnReceipt, Outcome
from ioi_exec.execution.executors import OwnExecutors
from ioi_exec.execution.native import NativeSequentialExecutor
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.testing import NotSerializable, assert_serializable
from ioi_exec.vm.loading import LoadedVM
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

Difference = Callable[[Any], NotSerializable]
GENESIS = {b"k": b"0", b"l": b"0"}


class Put:
    """A transaction is `key=value`; no value deletes; an unknown `!` fails. The output is the value before."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        key, _, value = tx.partition(b"=")
        if key == b"!":
            raise Revert("no")
        before = state.get(key) or b"none"
        state.put(key, value) if value else state.delete(key)
        return before

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        state.put(b"end", b"%d" % ctx.height)


TXS = [b"k=1", b"!", b"l=2", b"k=3", b"m=4"]


class Wrong(SequentialExecutor):
    """An executor that is wrong in one way: stands for a parallel one with a bug, or a VM that is not deterministic."""

    def __init__(self, vm: LoadedVM, limits: Limits, change: Any) -> None:
        super().__init__(vm, limits)
        self.change = change

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        right = super().run(block, base, on_receipt, on_progress)
        receipts, writes = list(right.receipts), dict(right.writes)
        self.change(receipts, writes)
        return Outcome(sorted(writes.items()), Receipts.of(receipts), Stats())


@pytest.fixture
def difference(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], NotSerializable]:
    """difference(change): what is raised when the executor of 2 workers is wrong in this way."""

    def find(change: Any) -> NotSerializable:
        def make(self: OwnExecutors, vm: LoadedVM, limits: Limits, workers: int, pin: bool, sequential: bool) -> Executor:
            assert (workers, pin, sequential) == (2, False, False)
            return Wrong(vm, limits, change)

        monkeypatch.setattr(OwnExecutors, "_make", make)
        with pytest.raises(NotSerializable) as caught:
            assert_serializable(Put, GENESIS, TXS, workers=(2,), cross_check=0)
        assert isinstance(caught.value, AssertionError)
        return caught.value

    return find


def test_agreement_returns_the_sequential_result() -> None:
    result = assert_serializable(Put, GENESIS, iter(TXS), workers=(0, 0), header=BlockHeader(height=7))
    assert dict(result.writes)[b"end"] == b"7" and result.failed == 1
    assert assert_serializable(Put, None, [], workers=()).transactions == 0


def test_a_wrong_value_names_its_last_writer(difference: Difference) -> None:
    error = difference(lambda receipts, writes: writes.update({b"k": b"wrong"}))
    assert (error.tx_index, error.key, error.sequential, error.parallel) == (3, b"k", b"3", b"wrong")
    assert all(part in str(error) for part in ("2 workers", "transaction 3", f"key {b'k'.hex()} ", f"{b'3'.hex()}\n", b"wrong".hex()))


def test_the_first_of_several(difference: Difference) -> None:
    error = difference(lambda receipts, writes: writes.update({b"k": b"wrong", b"l": None, b"m": b"5"}))
    assert (error.tx_index, error.key, error.sequential, error.parallel) == (2, b"l", b"2", None)
    assert "3 keys differ" in str(error)


def test_a_lost_write_and_one_too_many(difference: Difference) -> None:
    assert difference(lambda receipts, writes: writes.pop(b"m")).key == b"m"
    error = difference(lambda receipts, writes: writes.update({b"x": b"y"}))
    assert (error.tx_index, error.key, error.sequential, error.parallel) == (None, b"x", None, b"y")
    assert "not written by any transaction" in str(error)


def test_a_write_that_changes_nothing_counts_too(difference: Difference) -> None:
    assert difference(lambda receipts, writes: writes.update({b"never": None})).key == b"never"


def test_end_block_is_told_apart(difference: Difference) -> None:
    error = difference(lambda receipts, writes: writes.update({b"end": b"?"}))
    assert (error.tx_index, error.key) == (None, b"end")


def test_a_wrong_receipt_names_its_transaction(difference: Difference) -> None:
    def change(receipts: list[Receipt], writes: Any) -> None:
        receipts[2] = Receipt(output=b"wrong")

    error = difference(change)
    assert (error.tx_index, error.key) == (2, None)
    assert (error.sequential, error.parallel) == (Receipt(output=b"0"), Receipt(output=b"wrong"))
    assert b"0".hex() in str(error) and b"wrong".hex() in str(error) and "b'" not in str(error)


def test_receipt_and_value_together(difference: Difference) -> None:
    def change(receipts: list[Receipt], writes: Any) -> None:
        receipts[2] = Receipt(2)
        writes[b"l"] = b"wrong"
        writes[b"m"] = b"wrong"

    error = difference(change)
    assert (error.tx_index, error.key, error.parallel) == (2, b"l", b"wrong")


def test_a_vm_that_keeps_state_is_found_by_a_second_sequential_run() -> None:
    calls: list[int] = []

    class Remembers:
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
            calls.append(1)
            state.put(b"calls", b"%d" % len(calls))

    with pytest.raises(NotSerializable, match="0 workers"):
        assert_serializable(Remembers, None, [b"x"], workers=(0,))


def test_a_vm_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wrote what is not known of it, so a key that differs names no transaction."""
    genesis = {account_key(b"a" * 32): encode_account(10)}
    txs = [encode_transfer(b"a" * 32, b"b" * 32, 4, nonce=0), b"malformed"]
    result = assert_serializable("payments", genesis, txs, workers=(0,))
    assert result.receipts[0].ok and result.receipts[1].error == "malformed"

    runs = []
    run = NativeSequentialExecutor.run

    def second_is_wrong(self: NativeSequentialExecutor, *arguments: Any) -> Outcome:
        right = run(self, *arguments)
        runs.append(right)
        return right if len(runs) == 1 else Outcome(right.writes[1:], right.receipts, right.stats)

    monkeypatch.setattr(NativeSequentialExecutor, "run", second_is_wrong)
    with pytest.raises(NotSerializable) as caught:
        assert_serializable("payments", genesis, txs, workers=(0,))
    assert (caught.value.tx_index, caught.value.key) == (None, account_key(b"a" * 32))
    assert "(1 keys differ)" in str(caught.value)
