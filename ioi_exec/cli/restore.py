"""ioi-exec restore: a state from a snapshot, each chunk checked against a trusted root."""

from __future__ import annotations

import argparse
import os
import stat
from dataclasses import replace

from ioi_storage import (
    BadChunk,
    Manifest,
    Restore,
    StorageError,
    chunk_limit,
    manifest_limit,
)

from ioi_exec.block.header import BlockHeader
from ioi_exec.cli.describe import described
from ioi_exec.cli.maintenance import Progress, vm_of_new_state
from ioi_exec.cli.options import (
    Commands,
    add_command,
    add_vm,
    hex_value,
    print_fields,
    print_json,
)
from ioi_exec.errors import InputError, StateError
from ioi_exec.files.snapshots import MANIFEST, chunk_name
from ioi_exec.machine import ExecutionMachine
from ioi_exec.state.base import storage_errors
from ioi_exec.state.given import note
from ioi_exec.state.identity import Identity

_EPILOG = """Take the root from where you trust it, not from DIR. It covers all keys and values; what manifest.json says beside (limits,
version, height, header, receipts root) it does not, so look at what is printed. A VM of your own must be given with --vm: no
name in DIR is ever imported. Interrupted, or with chunks missing, it
keeps the good chunks in .NAME.restoring beside STATE and goes on from there when run again."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "restore", "Make a state of a snapshot.", _EPILOG, example="ioi-exec restore restored snap --root $ROOT"
    )
    command.add_argument("directory", metavar="DIR", help="what ioi-exec snapshot wrote, or chunks of it")
    command.add_argument("--root", required=True, type=hex_value, metavar="HEX", help="the state root, from where you trust it")
    add_vm(command, "the VM it belongs to, unless that is built in: package.module:Class of your own")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if len(options.root) != 32:
        raise InputError(f"--root: a root has 32 bytes (64 hex digits), not {len(options.root)}")
    with storage_errors():
        manifest = _manifest(options)
        with Restore(options.state, manifest, root=options.root) as restore:
            with Progress("chunks", options) as progress:
                _offer_all(restore, options.directory, progress)
            with Progress("keys", options) as progress:
                restore.finish(progress)
    identity = Identity.from_meta(manifest.creation.meta)
    note(options.state, identity.vm_at(manifest.row.height), upgrade=identity.index_at(manifest.row.height) > 0)
    with ExecutionMachine.open(options.state, read_only=True, workers=0) as machine:
        shown = {"state": options.state, **described(machine.info)}
    (print_json if options.json else print_fields)(shown)
    return 0


def _manifest(options: argparse.Namespace) -> Manifest:
    """What the manifest says, with the VM of the options, checked to make sense."""
    path = os.path.join(options.directory, MANIFEST)
    try:
        manifest = Manifest.decode(_read(path, manifest_limit))
        identity = Identity.from_meta(manifest.creation.meta)
        row = manifest.row
        index = identity.index_at(row.height)
        vm = vm_of_new_state(options, identity.vms[index].vm, "the snapshot").spec
        if row.version and BlockHeader.decode(row.header).height != row.height:
            raise InputError("its height is not the one in its block header")
    except (StorageError, StateError) as error:
        raise InputError(f"{path}: {error}") from None
    return replace(manifest, creation=manifest.creation._replace(meta=identity.changed(index, replace(identity.vms[index], vm=vm)).to_meta()))


def _offer_all(restore: Restore, directory: str, progress: Progress) -> None:
    """Offers all that are there, good ones after bad ones too. InputError names those that could not be used."""
    problems: list[str] = []
    while (missing := restore.missing()) and not problems:
        for done, number in enumerate(missing, restore.chunks - len(missing)):
            path = os.path.join(directory, chunk_name(number))
            try:
                restore.offer(number, _read(path, chunk_limit))
            except FileNotFoundError:
                problems.append(f"{path} is not there")
            except BadChunk as error:
                problems.append(f"{path}: {error}")
            progress(done + 1, restore.chunks)
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InputError("; ".join(problems[:5]) + more + ". The good chunks are kept: run this again once the others are there")


def _read(path: str, most: int) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe, say, that nobody ever writes to
            raise InputError(f"{path} is no plain file, and no snapshot has such: it was not read")
        return file.read(most + 1)
