"""execute(propose=...): what is taken out, where the block is cut, and what the result then is."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from ioi_exec import (
    Dropped,
    ExecutionMachine,
    GasSchedule,
    InputError,
    InputTypeError,
    LimitExceeded,
    Limits,
    Proposal,
    Revert,
    StateView,
    TxContext,
    VMFault,
)
from ioi_exec.execution import parallel, proposing


class Shop:
    """b"name" takes what is called so; names beginning with "poor" are not includable, with "burn" they use 70 gas, with "fault" they stop
    the block, with "wait" they wait for a file."""

    def __init__(self, file: str = "") -> None:
        self.file = file

    def ante(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        if tx.startswith(b"poor"):
            raise Revert("cannot pay", code=7)

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx.startswith(b"fault"):
            raise MemoryError(tx.decode())
        if tx.startswith(b"burn"):
            ctx.charge(60)
        while tx.startswith(b"wait") and not Path(self.file).exists():
            time.sleep(0.001)
        if state.exists(tx):
            raise Revert("taken")
        state.put(tx, b"%d" % ctx.tx_index)
        return b"%d" % ctx.tx_index


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_in_a_block_is_taken_out(workers: int) -> None:
    with ExecutionMachine.create(None, Shop, workers=workers, pin=False, limits=Limits(tx_bytes=20), receipts=True) as machine:
        candidates = [b"a", b"poor 1", b"b", b"fault", b"a", b"x" * 21, b"poor 2", b"c"]
        heard: list[int] = []
        result = machine.execute(candidates, on_receipt=lambda index, receipt: heard.append(index), propose=True)
        assert result.included == [0, 2, 4, 7] and result.txs == [b"a", b"b", b"a", b"c"] and heard == [0, 1, 2, 3]
        assert result.dropped[1] == Dropped("refused", "cannot pay", 7) == result.dropped[6]
        assert result.dropped[3].kind == "fault" and result.dropped[3].text.startswith("stopped the block: MemoryError: fault")
        assert re.search(r"\(raised at \S*test_proposing\.py:\d+ in execute\)$", result.dropped[3].text), "which tells the author where"
        assert result.dropped[5].kind == "size" and "21 bytes" in result.dropped[5].text and set(result.dropped) == {1, 3, 5, 6}
        assert [receipt.output for receipt in result.receipts] == [b"0", b"1", b"", b"3"] and result.failed == 1
        plain = machine.execute(result.txs)
        assert (plain.state_root, plain.receipts_root) == (result.state_root, result.receipts_root)
        assert list(plain.included) == [0, 1, 2, 3] and plain.dropped == {}
        machine.commit(result)
        assert machine.receipts().txs == result.txs and machine.info.transactions == 4


def test_what_faults_again_and_again_cuts_the_block_in_the_end() -> None:
    with ExecutionMachine.create(None, Shop, workers=0) as machine:
        candidates = [b"%d" % index if index % 2 == 0 else b"fault %d" % index for index in range(100)]
        result = machine.execute(candidates, propose=True)
        assert result.included == list(range(0, 2 * proposing.ROUNDS, 2)) and len(result.dropped) == proposing.ROUNDS
        assert machine.execute(result.txs).state_root == result.state_root


def test_a_fault_of_the_blocks_end_is_no_transactions() -> None:
    class Ends(Shop):
        def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
            raise ValueError("no end")

    with ExecutionMachine.create(None, Ends(), workers=0) as machine, pytest.raises(VMFault, match="end_block"):
        machine.execute([b"a"], propose=True)


GAS = GasSchedule(flat=10, block_limit=150)


@pytest.mark.parametrize("workers", [0, 2])
def test_gas_cuts(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "LEAVING_NS", 10**12)
    with ExecutionMachine.create(None, Shop, workers=workers, pin=False, gas=GAS) as machine:
        machine.execute([b"start"])
        pids = machine.worker_pids
        candidates = [b"burn 1", b"poor", b"burn 2", b"burn 3", b"a", *(b"more %d" % index for index in range(500))]
        with pytest.raises(LimitExceeded, match="transaction 3 "):
            machine.execute(candidates)
        result = machine.execute(candidates, propose=True)
        assert result.included == [0, 2] and set(result.dropped) == {1}, "what comes after the first that does not fit is not tried"
        assert sum(receipt.gas_used for receipt in result.receipts) == 140
        assert machine.worker_pids == pids, "workers live on where a block was cut"
        machine.commit(result)
        assert machine.execute([b"a"]).receipts[0].ok


def test_bytes_cut() -> None:
    with ExecutionMachine.create(None, Shop, workers=0, limits=Limits(block_transactions=3)) as machine:
        candidates = [b"aa", b"poor", b"bbb", b"cc", b"d"]
        assert machine.execute(candidates, propose=Proposal(max_bytes=7)).included == [0, 2, 3], "what was taken out leaves room"
        assert machine.execute(candidates, propose=Proposal(max_bytes=6)).included == [0, 2]
        assert machine.execute(candidates, propose=Proposal(max_bytes=0)).included == []
        assert machine.execute(candidates, propose=Proposal(max_bytes=9, size=lambda tx: len(tx) + 1)).included == [0, 2]
        assert machine.execute(candidates, propose=True).included == [0, 2, 3], "Limits.block_transactions"
        assert machine.execute([], propose=True).included == []


@pytest.mark.parametrize("workers", [0, 2])
def test_time_cuts(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps as soon as something is executed; and that goes on until it has been looked at."""
    now = [0.0]
    monkeypatch.setattr(proposing, "perf_counter", lambda: now[0])
    file = tmp_path / "go"

    def look(_: object) -> None:
        now[0] = 1e6
        file.touch()

    with ExecutionMachine.create(None, Shop, vm_args={"file": str(file)}, workers=workers, pin=False) as machine:
        candidates = [b"a", b"b", b"wait 1" if workers else b"c", *(b"wait %d" % index for index in range(2, 9))]
        if workers == 0:  # where transactions and looks take turns, so that none can wait for a look
            candidates, _ = [b"a", b"b"] * 50_000, file.touch()
        result = machine.execute(candidates, propose=Proposal(seconds=1.0), on_progress=look)
        assert len(result.included) < len(candidates) and result.included == list(range(len(result.included)))
        assert machine.execute(result.txs).state_root == result.state_root


def test_what_a_proposal_is() -> None:
    for wrong, error in (
        ({"max_bytes": -1}, InputError), ({"max_bytes": "1"}, InputTypeError), ({"seconds": 0}, InputError), ({"seconds": True}, InputTypeError),
        ({"seconds": float("nan")}, InputError), ({"size": 5}, InputTypeError),
    ):
        with pytest.raises(error, match="Proposal"):
            Proposal(**wrong)
    with ExecutionMachine.create(None, Shop, workers=0) as machine:
        with pytest.raises(InputTypeError, match="propose"):
            machine.execute([], propose=1)  # type: ignore[arg-type]
        with pytest.raises(InputTypeError, match="Proposal.size"):
            machine.execute([b"a"], propose=Proposal(size=lambda tx: "1"))  # type: ignore[arg-type, return-value]
        with pytest.raises(InputTypeError, match="transaction 1"):
            machine.execute([b"a", 5], propose=True)  # type: ignore[list-item]
