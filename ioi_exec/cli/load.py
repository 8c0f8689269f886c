"""ioi-exec load: a new state from a dump."""

from __future__ import annotations

import argparse
import sys
from typing import Iterator

import ioi_storage

from ioi_exec.block.preparation import checked_initial_height, checked_limits
from ioi_exec.cli.describe import described
from ioi_exec.cli.maintenance import Progress, vm_of_new_state
from ioi_exec.cli.options import (
    Commands,
    add_command,
    add_vm,
    print_fields,
    print_json,
    whole_number,
)
from ioi_exec.cli.streams import input_file
from ioi_exec.errors import Error, InputError
from ioi_exec.files.dump import DumpReader
from ioi_exec.limits import Limits
from ioi_exec.machine import ExecutionMachine
from ioi_exec.state.base import storage_errors
from ioi_exec.state.given import note
from ioi_exec.state.identity import Identity
from ioi_exec.vm.fingerprint import fingerprint
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import VMSpec
from ioi_exec.vm.payments import check_genesis

_EPILOG = """The new state is at version 0; the next block's height follows the dump's. On jellyfish its root must be the dump's, else
nothing is created (exit 5). The root of an iavl tree also depends on the versions its keys were written in, which a dump
does not hold, so there it may differ, and is shown. To have a state as it was, with its root, use snapshot and restore."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "load", "Create a state at version 0 from a dump.", _EPILOG, example="ioi-exec load loaded dump.jsonl"
    )
    command.add_argument("dump", metavar="FILE", help="what ioi-exec dump wrote; - is standard input")
    add_vm(command, "the VM it belongs to, unless that is built in: package.module:Class of your own")
    command.add_argument("--tree", help="another kind of Merkle tree than the dump's")
    command.add_argument(
        "--initial-height", type=whole_number, metavar="N", help="height of the first block (default: the one after the dump's)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with input_file(options.dump) as (stream, name):
        reader = DumpReader(stream, name)
        head = reader.head
        limits = checked_limits(Limits.remembered(head.limits))
        loaded = vm_of_new_state(options, head.vm, "the dump")
        vm = loaded.spec
        initial_height = checked_initial_height(head.height + 1 if options.initial_height is None else options.initial_height)
        tree = options.tree or head.tree
        # On iavl the root is not a function of the pairs alone.
        root = head.root if tree == head.tree == "jellyfish" else None
        with Progress("keys", options) as progress, storage_errors():
            try:
                ioi_storage.Store.load(
                    options.state,
                    tree=tree,
                    meta=Identity(
                        vm, initial_height, limits.consensus(), Interpreter.here(loaded), head.chain_id, gas=head.gas,
                        upgrades=tuple(each for each in head.upgrades if each.height >= initial_height), code=fingerprint(loaded),
                    ).to_meta(),
                    pairs=_checked(reader, limits, vm, progress),
                    height=initial_height - 1,
                    root=root,
                ).close()
            except ValueError as error:
                raise error if isinstance(error, Error) else InputError(f"{name}: {error}") from None  # a key twice
    note(options.state, vm)
    with ExecutionMachine.open(options.state, read_only=True, workers=0) as machine:
        shown = {
            "state": options.state, "keys": head.keys, "dump_root": head.root.hex(), **described(machine.info),
        }
    if shown["state_root"] != shown["dump_root"] and not options.json:
        why = "another tree" if tree != head.tree else f"{tree} hashes the versions in which keys were written, which a dump does not hold"
        print(f"ioi-exec: the state root differs from the dump's: {why}", file=sys.stderr)
    (print_json if options.json else print_fields)(shown)
    return 0


def _checked(reader: DumpReader, limits: Limits, vm: VMSpec, progress: Progress) -> Iterator[tuple[bytes, bytes]]:
    for count, pair in enumerate(reader.pairs(limits), 1):
        if vm.name == "payments":
            check_genesis([pair])
        if count % 1000 == 0:
            progress(count, reader.head.keys)
        yield pair
