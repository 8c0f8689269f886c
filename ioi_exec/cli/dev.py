"""ioi-exec dev: a chain on one's desk."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Mapping

from ioi_exec.block.preparation import Genesis
from ioi_exec.cli.options import (
    Commands,
    add_command,
    add_vm_args,
    find_own_code,
    print_fields,
    print_json,
    vm_args_value,
    vm_may_print,
    whole_number,
)
from ioi_exec.errors import Error, InputError
from ioi_exec.files import read_genesis
from ioi_exec.files.gas import read_gas
from ioi_exec.vm.loading import BUILT_IN, load_vm

_EPILOG = """Blocks are made at once, one for each transaction that comes alone; with --block-ms every so many milliseconds, with --on-demand when
POST /v1/mine asks for one. It goes on until SIGTERM, SIGINT or SIGHUP, which it obeys when the block at hand is committed (status 0).

The files of a VM in Python are watched: when one is saved, the next block is under the new code, on the same state. What cannot be taken is told, and the chain goes on
with what it has; a VM of another version begins with its `migrate`.

The keys that it prints come from the seed, and anybody can make them: they are for tests. Accounts of payments have money; a genesis of another VM
gives it to whom it likes: NAME of module:NAME is a mapping of bytes to bytes, or is called with the accounts' public keys and returns one."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "dev", "Be a chain on one's desk: blocks, keys, an HTTP interface.", _EPILOG,
        example="ioi-exec dev\nioi-exec dev --vm bazaar:Bazaar --genesis bazaar:GENESIS --home chain", needs_state=False,
    )
    command.add_argument("--vm", default="payments", help="payments (default), or package.module:Class of your own")
    add_vm_args(command)
    command.add_argument("--genesis", metavar="FILE", help="the first accounts or keys: a JSON file, or module:NAME")
    command.add_argument("--home", metavar="DIR", help="keep the chain there, and go on with it (default: in memory)")
    command.add_argument("--chain-id", default="dev", metavar="TEXT", help="which chain this is (default: dev)")
    command.add_argument("--tree", help="kind of Merkle tree: jellyfish (default) or iavl", default="jellyfish")
    command.add_argument("--gas", metavar="FILE", help="what transactions cost and how much a block may use, as JSON (default: nothing)")
    pace = command.add_mutually_exclusive_group()
    pace.add_argument("--block-ms", type=whole_number, metavar="N", help="make a block every N milliseconds, empty ones too")
    pace.add_argument("--on-demand", action="store_true", help="make a block only when asked for one")
    command.add_argument("--seed", default="test", metavar="TEXT", help="what all keys come from (default: test)")
    command.add_argument("--accounts", type=whole_number, default=10, metavar="N", help="how many keys of senders (default: 10)")
    command.add_argument("--listen", default="127.0.0.1:26657", metavar="HOST:PORT", help="default: 127.0.0.1:26657, CometBFT's own; port 0: any")
    command.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a name that this machine is asked by, beside localhost")
    command.add_argument("--allow-origin", action="append", default=[], metavar="URL", help="whose pages may ask, as http://HOST:PORT")
    command.add_argument("--workers", type=whole_number, metavar="N", help="worker processes; 0: in this one (default: one per core)")
    command.add_argument(
        "--recordings", type=whole_number, default=16, metavar="N",
        help="of how many of the newest blocks to remember who executed what when, for the page (default: 16); 0: record nothing",
    )
    command.add_argument("--keep", type=whole_number, metavar="N", help="how many of the newest blocks stay readable (default: all)")
    command.add_argument("--accept-vm", action="store_true", help="go on with another version of the VM, or under another Python, than HOME has")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for module in ("aiohttp", "nacl"):
        if find_spec(module) is None:
            raise Error(f"a chain on one's desk needs {module}: pip install 'ioi-exec[node]'")
    from ioi_exec.node import logs
    from ioi_exec.node.addresses import host_and_port
    from ioi_exec.node.dev import Dev
    from ioi_exec.node.dev_chain import DevChain
    from ioi_exec.node.dev_keys import DevKeys
    from ioi_exec.node.http.guard import Guard
    from ioi_exec.node.producer import Pace
    from ioi_exec.node.recordings import Recordings

    listen, vm_args = host_and_port(options.listen), vm_args_value(options.vm_args)
    if listen is None:
        raise InputError(f"--listen is {options.listen!r}: give HOST:PORT")
    if not options.chain_id:
        raise InputError("--chain-id is empty: give a name, or leave it out")
    if options.block_ms == 0:
        raise InputError("--block-ms is 0: give 1 or more, or leave it out for blocks at once")
    if options.accounts > 1000:
        raise InputError(f"--accounts is {options.accounts}: at most 1000")
    if options.vm not in BUILT_IN:
        find_own_code()
        # What is compiled is known by the second and the size of its file: too little where it may be saved twice in one. Workers inherit it.
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    gas = None
    if options.gas is not None:
        with open(options.gas, "rb") as stream:
            gas = read_gas(stream, options.gas)
    logs.begin("json" if options.json else "text", "info")
    keys = DevKeys(options.seed, options.accounts)
    recordings = Recordings(options.recordings) if options.recordings else None
    with vm_may_print():
        genesis = _genesis(options, [each.public for each in keys.accounts])
        chain = DevChain(
            options.vm, genesis, vm_args=vm_args, chain_id=options.chain_id, keys=keys, home=None if options.home is None else Path(options.home),
            accept_vm=options.accept_vm, tree=options.tree, gas=gas, workers=options.workers,
            keep=options.keep and options.keep + 1,  # the oldest block stands on the version before it
            recorder=recordings,
        )
        try:
            pace, guard = Pace(None if options.on_demand else options.block_ms or 0), Guard(tuple(options.allow_host), tuple(options.allow_origin))
            own = options.vm not in BUILT_IN and load_vm(options.vm, vm_args).native is None
            dev = Dev(chain, pace, listen, guard, recordings, (options.vm, vm_args) if own else None)
        except BaseException:
            chain.close()
            raise
    with dev:
        _show(dev.described(), keys, options.json)
        with vm_may_print():
            dev.run()
    return 0


def _show(described: dict[str, Any], keys: Any, as_json: bool) -> None:
    pairs = [("validator", keys.validator), *((f"account {index}", pair) for index, pair in enumerate(keys.accounts))]
    if as_json:
        shown = [{"name": name, "public_key": pair.public.hex(), "secret": pair.secret.hex()} for name, pair in pairs]
        print_json({**described, "seed": keys.seed, "test_keys": shown})
        return
    print_fields({**described, "seed": f"{keys.seed} (its keys are for tests: anybody can make them)"})
    for name, pair in pairs:
        print_fields({f"{name:<11}": f"public {pair.public.hex()}  secret {pair.secret.hex()}"})


def _genesis(options: argparse.Namespace, accounts: list[bytes]) -> Genesis | None:
    if options.genesis is None:
        return None
    module, colon, name = options.genesis.partition(":")
    if os.path.exists(options.genesis) or not colon:
        with open(options.genesis, "rb") as stream:
            return read_genesis(stream, options.genesis, accounts=options.vm == "payments")
    find_own_code()
    try:
        found = getattr(importlib.import_module(module), name)
        made = found(accounts) if callable(found) else found
    except Exception as error:
        raise InputError(f"--genesis {options.genesis}: {type(error).__name__}: {error}") from error
    if not isinstance(made, Mapping):
        raise InputError(f"--genesis {options.genesis} is {type(made).__name__}: give a mapping of bytes to bytes, or a function that returns one")
    return made
