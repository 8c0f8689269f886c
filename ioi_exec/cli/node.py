"""ioi-exec node: a home for a node of a chain, and its settings."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ioi_exec.cli.describe import described
from ioi_exec.cli.init import add_first_state, create_state
from ioi_exec.cli.options import Commands, add_command, print_fields, print_json, whole_number
from ioi_exec.errors import Diverged, InputError
from ioi_exec.state.info import StateInfo

if TYPE_CHECKING:
    from ioi_exec.node.home import Engine

_EPILOG = """HOME holds the settings (config.toml), the state, and what the consensus is set to. Each setting is taken from the
environment where that has it: IOI_NODE_ABCI_LISTEN for abci.listen, say."""

_WHAT_THEN = {
    "receipts_root": "No receipts are kept here: compare the RPC of this node, if it answers, in the place of HOME.\n",
    "app_hash": "All receipts are equal: what was written differs. ioi-exec serve --cross-check may find the key.\n",
}
_COMPARE = """Receipts are those that the home's state keeps (node init --keep-receipts), or those that the RPC of a node has. Where a home keeps none, their
root is compared, which says whether any code, data or gas differs; then the app hash. Prints the transaction, the field, and what it is here and
there (status 5), or that all is equal (status 0)."""


def register(commands: Commands) -> None:
    summary = "Make a home for a node of a chain, show its settings, or compare it with another node."
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

    compare = add_command(
        of_node, "compare", "Find the first receipt of a block that differs from another node's.", _COMPARE,
        example="ioi-exec node compare home 1200 --with http://127.0.0.1:26657", needs_state=False,
    )
    compare.add_argument("node", metavar="HOME|URL", help="what node init made, also beside its daemon; or the RPC of a node")
    compare.add_argument("height", metavar="HEIGHT", type=whole_number, help="of the block")
    compare.add_argument("--with", dest="other", required=True, metavar="URL", help="the RPC of the other node, CometBFT's or ioi-exec dev's")
    compare.set_defaults(run=run_compare)


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


def run_compare(options: argparse.Namespace) -> int:
    from ioi_exec.node.comparing import first_difference, of_home, of_node
    from ioi_exec.node.home import Home

    is_url = options.node.startswith(("http://", "https://"))
    here = of_node(options.node, options.height) if is_url else of_home(Home(options.node), options.height)
    found = first_difference(here, of_node(options.other, options.height))
    kept = here.results is not None
    if options.json:
        print_json({
            "height": options.height, "equal": found is None, "receipts_kept": kept, "transaction": found and found.transaction,
            "field": found and found.field, "here": found and found.here, "there": found and found.there,
        })
    elif found is None:
        sys.stdout.write(f"equal: block {options.height}{'' if kept else ', by the root of its receipts: none are kept here'}\n")
    else:
        where = "the block" if found.transaction is None else f"transaction {found.transaction}"
        sys.stdout.write(f"block {options.height}: {where} differs in {found.field}\n  here   {found.here}\n  there  {found.there}\n")
        sys.stdout.write(_WHAT_THEN.get(found.field, ""))
    return 0 if found is None else Diverged.exit_status


def run_show_config(options: argparse.Namespace) -> int:
    from ioi_exec.node.home import Home

    config = Home(options.home).config
    if options.json:
        print_json(config.to_json())
    else:
        sys.stdout.write(config.to_toml())
    return 0
