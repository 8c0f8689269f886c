"""ioi-exec devnet: several CometBFT nodes with their applications, by one command."""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any, ContextManager

from ioi_exec.cli.init import add_first_state
from ioi_exec.cli.node import init_home
from ioi_exec.cli.options import Commands, add_command, print_json, whole_number
from ioi_exec.errors import InputError

_EPILOG = """Makes HOME unless it is there, starts the nodes and their applications on free ports of loopback, prints their addresses, and
goes on until Ctrl-C or SIGTERM: then all end when the block at hand is committed (status 0). If one of them ends by itself, that is told with the
last lines of its log, and all others are ended (status 1).

CometBFT is a program of its own: --cometbft, IOI_COMETBFT or PATH says where it is. With Go: go install
github.com/cometbft/cometbft/cmd/cometbft@v0.38.26"""
_VALIDATORS = 4
_CHAIN = "devnet"


def register(commands: Commands) -> None:
    command = add_command(
        commands, "devnet", "Run a chain of several real CometBFT nodes on this machine.", _EPILOG,
        example="ioi-exec devnet --vm payments --genesis genesis.json --validators 4 --home devnet", needs_state=False,
    )
    command.add_argument("--vm", help="payments, or package.module:Class of your own; a HOME that exists knows its own")
    command.add_argument("--validators", type=whole_number, metavar="N", help=f"how many nodes (default: {_VALIDATORS})")
    command.add_argument("--home", metavar="DIR", help="where all of it lies, and goes on from (default: a directory that is removed at the end)")
    command.add_argument("--cometbft", metavar="PATH", help="the program (default: IOI_COMETBFT, or the one on PATH)")
    command.add_argument("--chain-id", metavar="TEXT", help=f"which chain this is (default: {_CHAIN})")
    command.add_argument("--genesis", metavar="FILE", help="the first accounts or keys, as JSON (default: none)")
    command.add_argument("--block-ms", type=whole_number, metavar="N", help="how long a node waits after a block (default: CometBFT's, 1000)")
    add_first_state(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ioi_exec.node import devnet

    binary = devnet.cometbft(options.cometbft)
    settings = {} if options.block_ms is None else {"CMT_CONSENSUS_TIMEOUT_COMMIT": f"{options.block_ms}ms"}
    where: ContextManager[str] = (
        tempfile.TemporaryDirectory(prefix="ioi-devnet-", ignore_cleanup_errors=True) if options.home is None else nullcontext(options.home)
    )
    with where as path:
        home = Path(path)
        if devnet.is_made(home):
            _check_same(options, home)
        else:
            _make(options, home, binary)
        with devnet.Devnet(home, binary, settings) as net:
            devnet.run_devnet(net, lambda net: _tell(net, options.json))
    return 0


def _make(options: argparse.Namespace, home: Path, binary: Path) -> None:
    from ioi_exec.cores import available_cores
    from ioi_exec.node import devnet
    from ioi_exec.node.home import Engine

    if not options.vm:
        missing = "" if options.home is None else f", and there is no devnet in {home}"
        raise InputError(f"--vm is missing{missing}: give payments, or package.module:Class")
    if options.chain_id == "":
        raise InputError("--chain-id is empty: give a name, or leave it out")
    wanted = copy.copy(options)
    wanted.chain_id = _CHAIN if options.chain_id is None else options.chain_id
    made = {**_given(wanted), "chain_id": wanted.chain_id, "validators": _VALIDATORS if options.validators is None else options.validators, "initial_height": options.initial_height}
    # All of them share this machine, and whoever asks them is on it.
    engine = Engine(workers=max(1, available_cores() // max(1, made["validators"])), simulate=1)
    devnet.make(home, binary, made, lambda path: init_home(wanted, path, engine))


def _check_same(options: argparse.Namespace, home: Path) -> None:
    """What is given anew is what it was made of. Raises InputError."""
    from ioi_exec.node import devnet

    made = devnet.read(home)
    for name, value in _given(options).items():
        if value != made.get(name):
            raise InputError(
                f"--{name.replace('_', '-')} is not what the devnet in {home} was made of: leave it out, or give another --home"
            )


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """What a devnet is made of, as far as it was said. Files by their hash."""
    said: dict[str, Any] = {
        "vm": options.vm, "vm_args": options.vm_args, "validators": options.validators, "chain_id": options.chain_id,
        "genesis": _hash(options.genesis), "gas": _hash(options.gas),
        "tree": options.tree if options.tree != "jellyfish" else None,
        "initial_height": options.initial_height if options.initial_height != 1 else None,
        "keep_receipts": options.keep_receipts or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _hash(path: str | None) -> str | None:
    return None if path is None else sha256(Path(path).read_bytes()).hexdigest()


def _tell(net: Any, as_json: bool) -> None:
    nodes = [
        {"validator": member.number, "rpc": member.rpc, "peer": member.peer, "home": os.fspath(member.home)} for member in net.members
    ]
    if as_json:
        print_json({"home": os.fspath(net.home), "chain_id": net.made["chain_id"], "vm": net.made["vm"], "nodes": nodes})
        return
    sys.stdout.write(f"chain      {net.made['chain_id']}\nvm         {net.made['vm']}\n")
    for node in nodes:
        sys.stdout.write(f"validator  {node['validator']}  {node['rpc']}  logs {node['home']}\n")
    sys.stdout.flush()
