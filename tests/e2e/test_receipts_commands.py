"""ioi-exec receipts, tx, run --keep-receipts, and why transactions failed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec import Receipt, ReceiptProof, verify_receipt

Cli = Callable[..., Any]
A, B = "aa" * 32, "bb" * 32


def transfer(nonce: int, amount: int = 1) -> str:
    return json.dumps({"from": A, "to": B, "amount": amount, "nonce": nonce}) + "\n"


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "genesis.json").write_text(json.dumps({"accounts": {A: {"balance": 1000}}}))
    cli("init", "state", "--genesis", "genesis.json", "--keep-receipts")
    cli("run", "state", "-", "--workers=0", stdin=transfer(0) + transfer(5) + transfer(6) + transfer(1, 9999))
    return tmp_path / "state"


def test_why_transactions_failed(cli: Cli, state: Path) -> None:
    block = transfer(1) + transfer(5) + transfer(6) + transfer(2, 9999)
    shown = cli("run", "state", "-", "--workers=0", "--dry-run", stdin=block).out.splitlines()
    assert "(3 failed)" in shown[0] and shown[1].startswith("  2 failed: ") and shown[2].startswith("  1 failed: ") and len(shown) == 3
    errors = cli("run", "state", "-", "--workers=0", "--dry-run", "--json", stdin=block).object["errors"]
    assert sorted(errors.values()) == [1, 2] and shown[1] == f"  2 failed: {next(iter(errors))}"
    assert cli("run", "state", "-", "--workers=0", "--json", stdin=transfer(1)).object["errors"] == {}


def test_more_errors_than_are_shown(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "my_vm.py").write_text("from ioi_exec import Revert\nclass V:\n    def execute(self, tx, state, ctx): raise Revert(tx.hex())\n")
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    cli("init", "other", "--genesis", "genesis.json", "--vm", "my_vm:V")
    lines = "".join('{"tx": "%02x"}\n' % number for number in range(15))
    errors = cli("run", "other", "-", "--workers=0", "--json", stdin=lines).object["errors"]
    assert len(errors) == 11 and errors["others"] == 5


def test_receipts_of_a_block(cli: Cli, state: Path) -> None:
    lines = cli("receipts", "state", "1", "--json").objects
    assert [(line["index"], line["code"] == 0) for line in lines] == [(0, True), (1, False), (2, False), (3, False)]
    shown = cli("receipts", "state", "1").out.splitlines()
    assert shown[0] == "transaction 0  done" and shown[1].startswith("transaction 1  failed, code ") and lines[1]["error"] in shown[1]


def test_events(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "my_vm.py").write_text("class V:\n    def execute(self, tx, state, ctx): ctx.emit('paid', to='x\\n', who=tx, amount=1 << 60)\n")
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    cli("init", "other", "--genesis", "genesis.json", "--vm", "my_vm:V", "--keep-receipts")
    cli("run", "other", "-", "--workers=0", stdin='{"tx": "ab"}\n')
    assert cli("receipts", "other", "1").out == f"transaction 0  done  paid(to='x\\n', who=ab, amount={1 << 60})\n"
    (event,) = cli("receipts", "other", "1", "--json").object["events"]
    assert event == {"name": "paid", "attributes": [["to", "x\n"], ["who", {"hex": "ab"}], ["amount", str(1 << 60)]]}


def test_a_transaction_by_its_hash(cli: Cli, state: Path) -> None:
    cli("run", "state", "-", "--workers=0", stdin=transfer(0))  # once more, in vain
    tx = bytes.fromhex(A + B) + (1).to_bytes(16, "big") + bytes(24)
    found = cli("tx", "find", "state", sha256(tx).hexdigest(), "--json").objects
    assert [(line["height"], line["index"], line["code"] == 0, line["tx"]) for line in found] == [(1, 0, True, tx.hex()), (2, 0, False, tx.hex())]
    assert cli("tx", "find", "state", sha256(tx).hexdigest()).out.startswith("height 1  version 1  transaction 0  done\n")
    missing = cli("tx", "find", "state", "00" * 32, "--json", status=1)
    assert missing.out == "" and missing.error["exit"] == 1 and missing.error["error"].startswith("no kept block has a transaction")
    assert cli("tx", "find", "state", "00" * 32, status=1).err.startswith("ioi-exec: no kept block has a transaction with the hash 0000")


def test_a_receipt_is_proven(cli: Cli, state: Path) -> None:
    root = bytes.fromhex(cli("info", "state", "--json").object["receipts_root"])
    shown = cli("receipts", "state", "1", "--prove", "2").object
    assert shown["receipts_root"] == root.hex()
    receipt = Receipt(shown["code"], bytes.fromhex(shown["output"]), shown["gas_wanted"], shown["gas_used"])
    verify_receipt(root, receipt, ReceiptProof(shown["index"], shown["total"], tuple(map(bytes.fromhex, shown["path"]))))


def test_they_go_with_their_version_and_come_with_no_snapshot(cli: Cli, state: Path) -> None:
    cli("run", "state", "-", "--workers=0", stdin=transfer(1))
    assert cli("check", "state", "--deep", "--json").object["findings"] == 0
    root = cli("info", "state", "--json").object["state_root"]
    cli("snapshot", "state", "snap")
    cli("restore", "copy", "snap", "--root", root)
    assert "has no receipts" in cli("receipts", "copy", "2", status=2).err
    cli("prune", "state", "--keep", "1", "--yes")
    assert "theirs are 2 to 2" in cli("receipts", "state", "1", "--json", status=2).error["error"]
    assert len(cli("receipts", "state", "2", "--json").objects) == 1
    assert cli("check", "state", "--deep", "--json").object["findings"] == 0


def test_run_keeps_them_where_it_is_told_to(cli: Cli, state: Path, tmp_path: Path) -> None:
    cli("init", "plain", "--genesis", "genesis.json")
    cli("run", "plain", "-", "--workers=0", stdin=transfer(0))
    assert "has no receipts" in cli("receipts", "plain", "1", status=2).err
    cli("run", "plain", "-", "--workers=0", "--keep-receipts", stdin=transfer(1))
    assert len(cli("receipts", "plain", "2", "--json").objects) == 1
    assert [cli("info", name, "--json").object["keeps_receipts"] for name in ("state", "plain")] == [True, False]
    assert "version 0 is the genesis" in cli("receipts", "plain", "0", status=2).err


@pytest.mark.parametrize(
    "words",
    [
        ("receipts", "nowhere", "1"), ("receipts", "state", "0"), ("receipts", "state", "2"), ("receipts", "state", "-1"), ("receipts", "state", "x"),
        ("receipts", "state", str(2**63 - 1)), ("receipts", "state", str(2**63)), ("receipts", "state"), ("receipts", "state", "1", "--prove", "4"),
        ("receipts", "state", "1", "--prove", "-1"), ("receipts", "genesis.json", "1"), ("tx", "find", "nowhere", "00" * 32), ("tx", "find", "state"),
        ("tx", "find", "state", "00"), ("tx", "find", "state", "zz" * 32), ("tx", "find", "state", "00" * 33), ("tx", "find", "state", ""),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_odd_inputs(cli: Cli, state: Path, words: tuple[str, ...]) -> None:
    assert cli(*words, status=2).out == ""
    error = cli(*words, "--json", status=2).error
    assert error["exit"] == 2 and error["error"]
