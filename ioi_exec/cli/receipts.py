"""ioi-exec receipts: what became of the transactions of a block."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ioi_exec.block.receipt import Receipt
from ioi_exec.cli.options import Commands, add_command, print_json, whole_number
from ioi_exec.files.strict_json import written
from ioi_exec.machine import ExecutionMachine

_EPILOG = """One line a transaction. They are kept of blocks that were committed with --keep-receipts, until their version is pruned.

--prove prints one receipt with a proof that it is in the block: an audit path of RFC 6962 from its leaf up to the receipts root
(ioi_exec.verify_receipt verifies it; the root is over code, output and gas)."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "receipts", "Print the receipts of a block.", _EPILOG,
        example="ioi-exec receipts state 1\nioi-exec receipts state 1 --prove 0 --json",
    )
    command.add_argument("height", metavar="HEIGHT", type=whole_number, help="of the block")
    command.add_argument("--prove", metavar="INDEX", type=whole_number, help="only the receipt of this transaction, from 0, with its proof")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with ExecutionMachine.open(options.state, read_only=True, workers=0) as machine, machine.pinned():
        past = machine.at_height(options.height)
        block = machine.receipts(past.version)
        if options.prove is None:
            for index, receipt in enumerate(block.receipts):
                show(index, receipt, options.json)
            return 0
        proof = machine.prove_receipt(past.version, options.prove)
        print_json({
            "height": written(block.height), "version": block.version, "receipts_root": past.info.receipts_root.hex(),
            **described_receipt(options.prove, block.receipts[options.prove]),
            "total": proof.total, "path": [sibling.hex() for sibling in proof.path],
        })
    return 0


def described_receipt(index: int, receipt: Receipt) -> dict[str, Any]:
    return {
        "index": index,
        "code": receipt.code,
        "output": receipt.output.hex(),
        "gas_wanted": written(receipt.gas_wanted),
        "gas_used": written(receipt.gas_used),
        "error": receipt.error,
        "events": [
            {"name": event.name, "attributes": [[name, _value(value)] for name, value in event.attributes]} for event in receipt.events
        ],
    }


def _value(value: bytes | str | int) -> Any:
    """Bytes apart from text."""
    return {"hex": value.hex()} if isinstance(value, bytes) else value if isinstance(value, str) else written(value)


def show(index: int, receipt: Receipt, as_json: bool, **more: Any) -> None:
    """One receipt in a line. more: what goes before it."""
    if as_json:
        print_json({**more, **described_receipt(index, receipt)})
        return
    where = "".join(f"{name} {value}  " for name, value in more.items() if name != "tx")
    text = f"failed, code {receipt.code}: {receipt.error}" if not receipt.ok else f"done  {receipt.output.hex()}".rstrip()
    events = "".join(
        f"  {event.name}({', '.join(f'{name}={value.hex() if isinstance(value, bytes) else repr(value)}' for name, value in event.attributes)})"
        for event in receipt.events
    )
    sys.stdout.write(f"{where}transaction {index}  {text}{events}\n")
