"""ioi-exec ethereum: blocks and tests of Ethereum, one file a command."""

from __future__ import annotations

from ioi_exec.cli.ethereum import access_list, fetch, run, statetest
from ioi_exec.cli.options import Commands

_COMMANDS = (run, fetch, access_list, statetest)


def register(commands: Commands) -> None:
    summary = "Execute blocks of Ethereum mainnet and compare them with their own headers."
    group = commands.add_parser("ethereum", help=summary, description=summary, allow_abbrev=False)
    of_group = group.add_subparsers(dest="ethereum_command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.register(of_group)
