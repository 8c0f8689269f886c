"""Real blocks: the value transfers of Ethereum mainnet blocks, against the ledger of the specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

from ioi_exec import BlockHeader, ExecutionMachine, Limits, Receipts
from ioi_exec.files import read_block, read_genesis
from ioi_exec.vm.payments_reference import PaymentsReference

WORKERS = [0, 1, 2, 3, 8]
FOLDER = Path(__file__).parents[3] / "shared" / "data" / "mainnet"
NUMBERS = sorted((path.name.split(".")[0] for path in FOLDER.glob("*.block.jsonl")), key=int)
PROPOSER = b"\x0f" * 32

pytestmark = pytest.mark.skipif(not NUMBERS, reason="the real blocks are not beside this checkout")


def ledger(number: str) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """Error texts and accounts after the block, from its JSON alone."""
    accounts = json.loads((FOLDER / f"{number}.genesis.json").read_text())["accounts"]
    held = {address: (account["balance"], account["nonce"]) for address, account in accounts.items()}
    errors, fees = [], 0
    for line in (FOLDER / f"{number}.block.jsonl").read_text().splitlines():
        tx = json.loads(line)
        balance, nonce = held.get(tx["from"], (0, 0))
        if tx["nonce"] != nonce:
            errors.append("nonce")
        elif balance < tx["amount"] + tx["fee"]:
            errors.append("balance")
        else:
            errors.append("")
            fees += tx["fee"]
            held[tx["from"]] = (balance - tx["amount"] - tx["fee"], nonce + 1)
            balance, nonce = held.get(tx["to"], (0, 0))
            held[tx["to"]] = (balance + tx["amount"], nonce)
    balance, nonce = held.get(PROPOSER.hex(), (0, 0))
    if fees:
        held[PROPOSER.hex()] = (balance + fees, nonce)
    return errors, held


def execute(number: str, vm: Any, workers: int) -> tuple[bytes, bytes, Receipts, dict[str, tuple[int, int]]]:
    with open(FOLDER / f"{number}.genesis.json", "rb") as stream:
        genesis = read_genesis(stream, number, accounts=True)
    with open(FOLDER / f"{number}.block.jsonl", "rb") as stream:
        block = read_block(stream, number, Limits(), transfers=True)
    with ExecutionMachine.create(None, vm, genesis=genesis, workers=workers, pin=False) as machine:
        result = machine.execute(block.txs, BlockHeader(height=int(number), proposer=PROPOSER))
        machine.commit(result)
        held = {
            key[5:].hex(): (int.from_bytes(value[:16], "big"), int.from_bytes(value[16:], "big"))
            for key, value in machine.scan(prefix=b"acct/")
        }
        return result.state_root, result.receipts_root, result.receipts, held


@pytest.mark.parametrize("number", NUMBERS)
def test_a_real_block(number: str) -> None:
    errors, held = ledger(number)
    reference = execute(number, PaymentsReference, 0)
    assert [receipt.error for receipt in reference[2]] == errors
    assert reference[3] == held
    for workers in WORKERS:
        assert execute(number, "payments", workers) == reference


def test_a_real_block_through_the_command_line(cli: Callable[..., Any]) -> None:
    number = NUMBERS[0]
    cli("init", "state", "--genesis", FOLDER / f"{number}.genesis.json")
    arguments = ("run", "state", FOLDER / f"{number}.block.jsonl", "--proposer", PROPOSER.hex(), "--json")
    done = [cli(*arguments, "--dry-run", f"--workers={workers}").object for workers in WORKERS]
    state_root, receipts_root, _, _ = execute(number, PaymentsReference, 0)
    assert {(block["state_root"], block["receipts_root"]) for block in done} == {(state_root.hex(), receipts_root.hex())}
