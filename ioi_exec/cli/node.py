"""ioi-exec node: a home for a node of a chain, and its settings."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ioi_exec.cli.describe import described
from ioi_exec.cli.init import add_first_state, create_state
from ioi_exec.cli.options import Commands, add_command, print_fields, print_json
from ioi_exec.errors import InputError
from ioi_exec.state.info import StateInfo

if TYPE_CHECKING:
    from ioi_exec.node.home import Engine

_EPILOG = """HOME holds the settings (config.toml), the state, and what the consensus is set to. Each setting is taken from the
environment where that has it: IOI_NODE_ABCI_LISTEN for abci.listen, say."""


def register(commands: Commands) -> None:
    summary = "Make a home for a node of a chain, or show its settings."
    node = commands.add_parser("node", help=summary, description=summary, allow_abbrev=False)
    of_node = node.add_subparsers(dest="node_command", required=True, metavar="COMMAND")

    init = add_command(
        of_node, "init", "Make a home for a node: settings, and the state at version 0.", _EPILOG,
        example="ioi-exec node init home --chain-id my-chain --vm payments --genesis genesis.json", needs_state=False,
    )
    init.add_argument("home", metavar="HOME", help="a directory that is not there yet, or empty")
    init.add_argument("--chain-id", required=True, metavar="TEXT", help="which chain this is, as CometBFT's genesis says it")
    init.add_argument("--vm", required=True, help="payments, or package.module:Class of your own")
    init.add_argument("--genesis", metavar="FILE", help="the first accounts or keys, as JSON (default: none)")
    add_first_state(init)
    init.set_defaults(run=run_init)

    show = add_command(
        of_node, "show-config", "Show a node's settings as they are now, those of the environment among them.",
        example="ioi-exec node show-config home", needs_state=False,
    )
    show.add_argument("home", metavar="HOME", help="what node init made")
    show.set_defaults(run=run_show_config)


def run_init(options: argparse.Namespace) -> int:
    info, keys = init_home(options, options.home)
    (print_json if options.json else print_fields)({"home": options.home, "keys": keys, **described(info)})
    return 0


def init_home(options: argparse.Namespace, path: str | os.PathLike[str], engine: Engine | None = None) -> tuple[StateInfo, int]:
    """Make the home that the options of `node init` tell of. engine: settings in the place of the usual ones."""
    from ioi_exec.node.home import STATE, Chain, Config, Engine, begun, finish

    if not options.chain_id:
        raise InputError("--chain-id is empty: give the chain_id of CometBFT's genesis")
    config = Config(Chain(options.chain_id, options.vm, options.vm_args or ""), engine=engine or Engine())
    with begun(path) as home:
        made = create_state(options, home / STATE)
        finish(home, config)
        return made


def run_show_config(options: argparse.Namespace) -> int:
    from ioi_exec.node.home import Home

    config = Home(options.home).config
    if options.json:
        print_json(config.to_json())
    else:
        sys.stdout.write(config.to_toml())
    return 0
