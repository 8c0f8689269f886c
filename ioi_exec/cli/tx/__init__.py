"""ioi-exec tx: transactions, in a state or on their way into a block; one file a command."""

from __future__ import annotations

from ioi_exec.cli.options import Commands
from ioi_exec.cli.tx import find, send, simulate, wait

_COMMANDS = (find, send, simulate, wait)


def register(commands: Commands) -> None:
    summary = "Find a transaction in a state, or send one to a node, simulate it, wait for it."
    group = commands.add_parser("tx", help=summary, description=summary, allow_abbrev=False)
    of_group = group.add_subparsers(dest="tx_command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.register(of_group)
