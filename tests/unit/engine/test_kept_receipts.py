"""Receipts that last: found by version and by hash, proven against the receipts root, part of nothing else."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ioi_storage import Store
from ioi_storage.disk.bodies import key_of

from ioi_exec import (
    Diverged,
    ExecutionMachine,
    InputError,
    Receipt,
    ReceiptProof,
    Revert,
    StateCorrupt,
    VersionMissing,
    verify_receipt,
)
from ioi_exec.block.receipt import Receipts
from ioi_exec.block.receipt_proof import prove_receipt
from ioi_exec.state.kept import body_of


class Put:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        if tx.startswith(b"no"):
            raise Revert(tx.decode(), code=7)
        state.put(tx, tx)
        return tx


def commit(machine: ExecutionMachine, *txs: bytes) -> Receipts:
    result = machine.execute(txs)
    machine.commit(result)
    return result.receipts


@pytest.mark.parametrize("workers", [0, 2])
def test_what_was_committed_is_read_back(tmp_path: Path, workers: int) -> None:
    with ExecutionMachine.create(tmp_path / "state", Put, workers=workers, pin=False, receipts=True) as machine:
        given = [commit(machine, b"a", b"no b", b""), commit(machine), commit(machine, b"a")]
    with ExecutionMachine.open(tmp_path / "state", read_only=True) as machine:
        blocks = [machine.receipts(version) for version in (1, 2, 3)]
        assert [block.receipts for block in blocks] == given and [block.txs for block in blocks] == [[b"a", b"no b", b""], [], [b"a"]]
        assert machine.receipts() == blocks[2] and (blocks[2].version, blocks[2].height) == (3, 3)
        assert [(kept.version, kept.index) for kept in machine.transaction(sha256(b"a").digest())] == [(1, 0), (3, 0)]
        (kept,) = machine.transaction(sha256(b"no b").digest())
        assert kept.receipt == Receipt(7, error="no b") and (kept.version, kept.height, kept.index, kept.tx) == (1, 1, 1, b"no b")
        assert machine.transaction(bytes(32)) == []
        with pytest.raises(InputError, match="31 bytes"):
            machine.transaction(bytes(31))
        for version in (0, 4):
            with pytest.raises(VersionMissing):
                machine.receipts(version)


def test_roots_are_as_without_them() -> None:
    roots = []
    for receipts in (False, True):
        with ExecutionMachine.create(None, Put, workers=0, receipts=receipts) as machine:
            commit(machine, b"a", b"no")
            roots.append((machine.root, machine.info.receipts_root))
    assert roots[0] == roots[1]


def test_who_keeps_them(tmp_path: Path) -> None:
    """The state remembers; a machine may be told otherwise."""
    path = tmp_path / "state"
    ExecutionMachine.create(path, Put, workers=0).close()
    for number, (receipts, kept) in enumerate([(None, False), (True, True), (False, False)], 1):
        with ExecutionMachine.open(path, vm=Put, workers=0, receipts=receipts) as machine:
            commit(machine, b"%d" % number)
            if kept:
                assert machine.receipts().txs == [b"%d" % number]
            else:
                with pytest.raises(VersionMissing, match=f"version {number} .* has no receipts.*keep-receipts"):
                    machine.receipts()
    with ExecutionMachine.create(tmp_path / "other", Put, workers=0, receipts=True):
        pass
    with ExecutionMachine.open(tmp_path / "other", vm=Put, workers=0) as machine:
        commit(machine, b"x")
        assert len(machine.receipts().receipts) == 1


def test_in_a_sandbox_and_after_a_rollback() -> None:
    with ExecutionMachine.create(None, Put, workers=0, receipts=True) as machine:
        commit(machine, b"a")
        with machine.sandbox():
            commit(machine, b"b")
            assert machine.receipts(2).txs == [b"b"] and machine.receipts(1).txs == [b"a"]
            assert machine.transaction(sha256(b"b").digest())[0].version == 2
        assert machine.transaction(sha256(b"b").digest()) == []
        commit(machine, b"c")
        machine.rollback(1)
        assert machine.transaction(sha256(b"c").digest()) == []
        commit(machine, b"d")
        machine.prune(1)
        assert machine.transaction(sha256(b"a").digest()) == [] and machine.receipts(2).txs == [b"d"]


@pytest.mark.parametrize("what", ["txs", "receipts", "no receipt", "no events"])
def test_others_than_were_committed_are_corrupt(tmp_path: Path, what: str) -> None:
    """Sealed rightly, as whoever made the state could: the version's own record knows better."""
    path = tmp_path / "state"
    ExecutionMachine.create(path, Put, workers=0).close()
    with ExecutionMachine.create(None, Put, workers=0) as machine:
        result = machine.execute([b"a"])
    body = body_of([b"b"] if what == "txs" else [b"a"], Receipts.of([Receipt(output=b"b" if what == "receipts" else b"a")]))
    if what == "no receipt":
        body = body._replace(outcomes=b"\xff" * 40, ends=(40).to_bytes(8, "little"))
    if what == "no events":
        outcome = Receipt(output=b"a", packed_events=b"\xff" * 9).pack()
        body = body._replace(outcomes=outcome, ends=len(outcome).to_bytes(8, "little"))
    with Store.open(path) as store:
        header = result.header.encode(sha256((1).to_bytes(8, "little") * 2 + b"a").digest())
        root = result.receipts_root
        store.commit(store.stage([]), receipts_root=root, height=1, header=header, transactions=1, failed=0, body=body)
    with ExecutionMachine.open(path, read_only=True) as machine, pytest.raises(StateCorrupt, match="version 1 are not those"):
        machine.receipts(1)


def test_lost_ones_are_corrupt(tmp_path: Path) -> None:
    """And not taken for a block that was committed without."""
    path = tmp_path / "state"
    with ExecutionMachine.create(path, Put, workers=0, receipts=True) as machine:
        commit(machine, b"a")
        commit(machine, b"b")
    with Store.open(path) as store, store._handle.begin() as txn:
        assert txn.delete(key_of(1, 0), db=store._handle.tables["bodies"])
    with ExecutionMachine.open(path, vm=Put, workers=0) as machine:
        assert machine.receipts(2).txs == [b"b"]
        with pytest.raises(StateCorrupt, match="of version 1 were committed and are not there"):
            machine.receipts(1)


def test_every_receipt_of_every_size_of_block_is_proven() -> None:
    for total in (*range(1, 18), 33):
        receipts = Receipts.of([Receipt(code=i % 3, output=b"%d" % i * (i % 3 == 0), gas_used=i, error="e") for i in range(total)])
        for index in range(total):
            proof = prove_receipt(receipts, index)
            verify_receipt(receipts.root(), receipts[index], proof)
            verify_receipt(receipts.root(), replace(receipts[index], error="another text"), proof)


def test_a_proof_of_anything_else_is_refused() -> None:
    with ExecutionMachine.create(None, Put, workers=0, receipts=True) as machine:
        commit(machine, b"a", b"b", b"c", b"d", b"e")
        receipts, root = machine.receipts(1).receipts, machine.info.receipts_root
        proof = machine.prove_receipt(1, 3)
        verify_receipt(root, receipts[3], proof)
        other = bytes(32)
        wrong: list[tuple[bytes, Receipt, ReceiptProof]] = [
            (other, receipts[3], proof), (root[1:], receipts[3], proof), (root, receipts[2], proof),
            (root, replace(receipts[3], gas_used=1), proof), (root, replace(receipts[3], code=1), proof),
            *((root, receipts[3], replace(proof, index=index)) for index in (-1, 0, 2, 4, 5)),
            *((root, receipts[3], replace(proof, total=total)) for total in (0, 3, 4, 9, 1 << 40)),
            *((root, receipts[3], replace(proof, path=path)) for path in ((), proof.path[1:], (*proof.path, other), (other, *proof.path[1:]))),
        ]
        for a_root, receipt, a_proof in wrong:
            with pytest.raises(Diverged):
                verify_receipt(a_root, receipt, a_proof)
        for index in (5, 1 << 70):
            with pytest.raises(InputError, match="has 5"):
                machine.prove_receipt(1, index)
        commit(machine)
        with pytest.raises(InputError, match="has 0"):
            machine.prove_receipt(2, 0)
