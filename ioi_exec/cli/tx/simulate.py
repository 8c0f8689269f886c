"""ioi-exec tx simulate: what a transaction would come to."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_command
from ioi_exec.cli.tx.building import add_transaction, show, transaction_of

_EPILOG = """The node executes it on its newest state, and keeps nothing of it. ioi-exec dev does; a node of ioi-exec serve does where engine.simulate is 1.
Exit status 1 where it would fail."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "simulate", "Ask a node what a transaction would come to.", _EPILOG,
        example='ioi-exec tx simulate "allow ada bob 50"', needs_state=False,
    )
    add_transaction(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ioi_exec.node.client import Client

    client = Client(options.node)
    outcome = client.simulate(transaction_of(options, client))
    show({}, outcome, options.json)
    return 0 if outcome.ok else 1
