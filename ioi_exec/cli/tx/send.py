"""ioi-exec tx send: a transaction is built, signed, handed to a node, and waited for."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_command, print_fields, print_json, whole_number
from ioi_exec.cli.tx.building import add_transaction, show_included, transaction_of

_EPILOG = """It waits until a block has the transaction, and prints its receipt. Exit status: 0 it was done, 1 it failed, was not let in, or came into
no block in time, 2 wrong input."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "send", "Send a transaction to a node, and wait for its receipt.", _EPILOG,
        example='ioi-exec tx send "allow ada bob 50"\nioi-exec tx send --pay "$TO" --amount 5 --key ada.key', needs_state=False,
    )
    add_transaction(command)
    command.add_argument("--no-wait", action="store_true", help="only hand it in, and print its hash")
    command.add_argument("--seconds", type=whole_number, default=60, metavar="N", help="how long to wait for a block (default: 60)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ioi_exec.node.client import Client

    client = Client(options.node)
    tx = transaction_of(options, client)
    if options.no_wait:
        (print_json if options.json else print_fields)({"hash": client.submit(tx).hex()})
        return 0
    done = client.send(tx, options.seconds)
    show_included(done, options.json)
    return 0 if done.outcome.ok else 1
