"""ioi-exec tx find: a transaction by its hash, and what became of it."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_command, hex_value
from ioi_exec.cli.receipts import show
from ioi_exec.errors import Error, InputError
from ioi_exec.files.strict_json import written
from ioi_exec.machine import ExecutionMachine

_EPILOG = """A line for each time that it is in a block; none: exit status 1. Blocks are looked in that were committed with
--keep-receipts, and whose version was not pruned. The transaction itself is shown with --json."""


class TransactionMissing(Error):
    """No kept block has it."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "find", "Find a transaction by its SHA-256, and print its receipts.", _EPILOG,
        example='ioi-exec tx find state "$TX"',
    )
    command.add_argument("hash", metavar="HASH", type=hex_value, help="SHA-256 of the transaction's bytes, in hex")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if len(options.hash) != 32:
        raise InputError(f"a transaction's hash has 32 bytes (64 hex digits), not {len(options.hash)}")
    with ExecutionMachine.open(options.state, read_only=True, workers=0) as machine, machine.pinned():
        found = machine.transaction(options.hash)
    for kept in found:
        show(kept.index, kept.receipt, options.json, height=written(kept.height), version=kept.version, tx=kept.tx.hex())
    if not found:
        raise TransactionMissing(f"no kept block has a transaction with the hash {options.hash.hex()}, or it was kept without receipts")
    return 0
