"""ioi-exec tx wait: until a transaction is in a block."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_command, hex_value, whole_number
from ioi_exec.cli.tx.building import add_node, show_included
from ioi_exec.errors import InputError


def register(commands: Commands) -> None:
    command = add_command(
        commands, "wait", "Wait until a block of a node has a transaction, and print its receipt.",
        "Exit status 1 where it failed, or no block has it in time.", example='ioi-exec tx wait "$TX"', needs_state=False,
    )
    command.add_argument("hash", metavar="HASH", type=hex_value, help="SHA-256 of the transaction's bytes, in hex")
    add_node(command)
    command.add_argument("--seconds", type=whole_number, default=60, metavar="N", help="how long to wait (default: 60; 0: look once)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ioi_exec.node.client import Client

    if len(options.hash) != 32:
        raise InputError(f"a transaction's hash has 32 bytes (64 hex digits), not {len(options.hash)}")
    done = Client(options.node).wait(options.hash, options.seconds)
    show_included(done, options.json)
    return 0 if done.outcome.ok else 1
