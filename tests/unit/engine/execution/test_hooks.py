"""`begin_block` runs once, before the first transaction; what it wrote lies under all of them; the same in every mode."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec import (
    EndBlock,
    ExecutionMachine,
    InputError,
    Policy,
    Progress,
    Revert,
    StateView,
    VersionMissing,
    VMError,
    VMFault,
)
from ioi_exec.execution.cross_check.check import CrossCheckFailed
from ioi_exec.execution.executors import SharedPools
from ioi_exec.execution.parallel import ParallelExecutor

Make = Callable[..., ExecutionMachine]


class Begins:
    """Whatever a transaction can ask of the state, it asks of what `begin_block` wrote and deleted."""

    def __init__(self, hints: bool = False) -> None:
        if hints:
            self.keys = lambda tx: [b"put", b"gone", b"absent", b"count"]

    def begin_block(self, state: StateView, ctx: Any) -> None:
        assert state.get(b"put") == (b"%d" % (ctx.height - 1) if ctx.height > 1 else b"genesis")
        state.put(b"put", b"%d" % ctx.height)
        state.delete(b"gone")
        state.add(b"count", 100, width=8)
        with pytest.raises(ValueError), state.checkpoint():
            ctx.emit("undone")
            state.put(b"put", b"undone")
            raise ValueError
        ctx.emit("begins", height=ctx.height, dice=ctx.random().randrange(2**60))

    def ante(self, tx: bytes, state: StateView, ctx: Any) -> None:
        if state.exists(b"gone"):
            raise Revert("begin_block is not seen")

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
        state.add(b"count", 1, width=8)
        if tx == b"puts":
            state.put(b"put", b"by a transaction")
        if tx == b"brings it back":
            state.put(b"gone", b"it is back")
            state.delete(b"gone")
        seen = [state.get(b"put"), state.get(b"gone"), state.get(b"count"), *state.scan(), *state.scan(reverse=True, limit=1)]
        return repr((seen, state.exists(b"put"), state.exists(b"gone"), ctx.random().randrange(2**60))).encode()[-256:]

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> EndBlock:
        ctx.emit("ends", count=state.get(b"count") or b"", dice=ctx.random().randrange(2**60))
        state.put(b"put", b"%d" % ctx.height)
        return EndBlock(parameters={"height": ctx.height})


GENESIS = {b"put": b"genesis", b"gone": b"here", b"other": b"o"}
TXS = [b"puts", b"reads", b"brings it back", *(b"reads %d" % i for i in range(30))]


def test_transactions_see_it_in_every_mode(make: Make) -> None:
    machine, alone = make(Begins, GENESIS, vm_args={"hints": True}), make(Begins, GENESIS, workers=0)
    for height in (1, 2, 3):
        expected = alone.execute(TXS)
        assert all(receipt.ok for receipt in expected.receipts)
        for options in ({}, {"sequential": True}, {"propose": True}, {"hints": [[b"put", b"other"]] * len(TXS)}):
            result = machine.execute(TXS, **options)
            assert (result.state_root, result.receipts, result.writes) == (expected.state_root, expected.receipts, expected.writes)
            assert result.events == expected.events and result.updates == EndBlock(parameters={"height": height})
            assert "begin_block" in result.stats.seconds
        machine.commit(result)
        alone.commit(expected)
    assert [event.name for event in expected.events] == ["begins", "ends"]
    dice = {expected.events[0]["dice"], expected.events[1]["dice"]}
    assert len(dice) == 2 and not any(str(found).encode() in receipt.output for found in dice for receipt in expected.receipts)
    assert machine.get(b"count") == (3 * (100 + len(TXS))).to_bytes(8, "big") and machine.get(b"gone") is None


def test_a_block_without_transactions_has_one(make: Make) -> None:
    machine = make(Begins, GENESIS)
    for sequential in (False, True):
        result = machine.execute([], sequential=sequential)
        assert list(result.writes) == [(b"count", bytes(7) + b"d"), (b"gone", None), (b"put", b"1")] and len(result.events) == 2


def test_what_it_wrote_is_gone_with_its_block(make: Make) -> None:
    """Staged beside each other, in sandboxes, rolled back, and given up in the middle: the next finds what was committed."""
    machine = make(Begins, GENESIS)
    first = machine.execute(TXS)
    with machine.sandbox():
        machine.commit(machine.execute(TXS))
        machine.commit(machine.execute(TXS))
        assert machine.get(b"put") == b"2"
    assert machine.get(b"gone") == b"here"

    def gives_up(index: int, receipt: Any) -> None:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            machine.execute(TXS, on_receipt=gives_up)
    again = machine.execute(TXS)
    assert (again.state_root, again.receipts) == (first.state_root, first.receipts)
    machine.commit(again)
    second = machine.execute(TXS)
    machine.commit(second)
    machine.rollback(1)
    assert machine.execute(TXS).state_root == second.state_root
    machine.rollback(0)
    assert machine.execute(TXS).state_root == first.state_root
    with pytest.raises(VersionMissing):
        machine.at(1)


class Raises:
    def __init__(self, kind: str = "") -> None:
        self.kind = kind

    def begin_block(self, state: StateView, ctx: Any) -> Any:
        state.put(b"k", b"v")
        if self.kind == "raises":
            raise LookupError("no block today")
        if self.kind == "returns":
            return EndBlock()
        if self.kind == "exits":
            os._exit(3)
        if self.kind == "dice":
            state.put(b"dice", os.urandom(8))

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> None:
        state.put(tx, state.get(b"k") or b"")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("raises", "begin_block stopped the block: LookupError: no block today. Nothing was staged; correct the VM"),
        ("returns", "begin_block stopped the block: TypeError: begin_block returned EndBlock: return None"),
    ],
)
def test_what_it_raises_stops_the_block(make: Make, kind: str, text: str) -> None:
    machine = make(Raises, vm_args={"kind": kind})
    for sequential in (False, True):
        for txs in ([b"a"], []):
            with pytest.raises(VMFault) as caught:
                machine.execute(txs, sequential=sequential)
            assert str(caught.value).startswith(text) and caught.value.tx_index == -1
    assert machine.version == 0


@pytest.mark.parametrize("sequential", [False, True])
def test_one_that_ends_its_worker_is_named(ioi_pools: SharedPools, sequential: bool) -> None:
    with ExecutionMachine.create(None, Raises, vm_args={"kind": "exits"}, workers=2, pin=False, executors=ioi_pools.executors()) as machine:
        with pytest.raises(VMFault, match="begin_block ended every worker") as caught:
            machine.execute([b"a"], sequential=sequential)
        assert caught.value.tx_index == -1


def test_a_cross_check_looks_at_it() -> None:
    with ExecutionMachine.create(None, Raises, vm_args={"kind": "dice"}, workers=1, pin=False, cross_check=True) as machine:
        with pytest.raises(CrossCheckFailed, match="begin_block does not always give the same result") as caught:
            machine.execute([b"a"])
        assert caught.value.tx_index == -1
    with ExecutionMachine.create(None, Begins, genesis=GENESIS, workers=1, pin=False, cross_check=True) as machine:
        machine.execute(TXS[:5])


class Slow(Raises):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def begin_block(self, state: StateView, ctx: Any) -> None:
        while not os.path.exists(self.path):
            pass


def test_progress_knows_it(tmp_path: Path, ioi_pools: SharedPools) -> None:
    seen: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        seen.append(progress)
        if -1 in progress.busy:
            (tmp_path / "go on").touch()

    with ExecutionMachine.create(
        None, Slow, vm_args=[str(tmp_path / "go on")], workers=2, pin=False, executors=ioi_pools.executors()
    ) as machine:
        machine.execute([b"a", b"b"], on_progress=on_progress)
    assert {progress.transactions for progress in seen} == {2} and seen[-1].watermark == 2


def test_one_that_cannot_be_called_is_refused() -> None:
    class Wrong(Raises):
        def begin_block(self, state: StateView) -> None:  # type: ignore[override]
            pass

    with pytest.raises(VMError, match=r"begin_block\(state, ctx\)"):
        ExecutionMachine.create(None, Wrong)


def test_a_record_has_what_it_read_and_wrote(ioi_pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Begins, genesis=GENESIS, workers=2, pin=False, executors=ioi_pools.executors()) as machine:
        record = machine.execute(TXS, record=True).record
        assert record is not None
        (before,) = record.before
        assert before.transactions == 0 and before.keys == [b"count", b"gone", b"put"]
        assert before.writes.tolist() == [(0, 0, False, True), (0, 1, True, False), (0, 2, False, False)]
        assert before.reads.tolist() == [(0, 0, -1, True), (0, 2, -1, False)]
        own = [(int(tx), record.keys[key], int(writer)) for tx, key, writer, _ in record.reads.tolist() if record.keys[key] == b"put"]
        assert own[0] == (0, b"put", -1)  # as of what is no transaction's
    with ExecutionMachine.create(None, Begins, genesis=GENESIS, workers=0) as machine, pytest.raises(InputError):
        machine.execute(TXS, record=True)


def test_the_index_of_the_next_block_is_sized_by_transactions_not_by_it(monkeypatch: pytest.MonkeyPatch, ioi_pools: SharedPools) -> None:
    class Writes(Begins):
        def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
            for number in range(500):
                state.put(b"%d" % number, tx)
            return b""

    known: list[int] = []
    lay_out = ParallelExecutor._lay_out

    def look(executor: ParallelExecutor, *given: Any) -> None:
        known.append(executor._keys)
        lay_out(executor, *given)

    monkeypatch.setattr(ParallelExecutor, "_lay_out", look)
    policy = Policy.named("all-workers")
    with ExecutionMachine.create(None, Writes(), genesis=GENESIS, workers=1, pin=False, executors=ioi_pools.executors()) as machine:
        for _ in range(2):
            machine.commit(machine.execute([b"tx"], policy=policy))
    assert known[:2] == [0, 0] and len(known) == 4 and known[2] == known[3] > 1000
