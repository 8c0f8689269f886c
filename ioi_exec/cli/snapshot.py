"""ioi-exec snapshot: a version of a state as files that restore checks one by one."""

from __future__ import annotations

import argparse
import os

import ioi_storage
from ioi_storage.disk import directory

from ioi_exec.cli.maintenance import Progress, opened_store
from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_fields,
    print_json,
    whole_number,
)
from ioi_exec.errors import InputError
from ioi_exec.files.snapshots import MANIFEST, chunk_name
from ioi_exec.state.base import storage_errors

_EPILOG = """DIR holds manifest.json and the chunks, and is there whole or not at all. Each chunk proves itself against the root, so they
can be fetched from anybody; manifest.json is only said. Works beside a live engine."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "snapshot", "Write a version of a state as chunks that can be checked one by one.", _EPILOG,
        example="ioi-exec snapshot state snap",
    )
    command.add_argument("directory", metavar="DIR", help="a directory that is not there yet, or empty")
    command.add_argument("--version", type=whole_number, metavar="N", help="as of version N (default: the newest)")
    command.add_argument(
        "--chunk-bytes", type=whole_number, default=ioi_storage.chunk_bytes, metavar="N",
        help=f"about how long a chunk is (default: {ioi_storage.chunk_bytes}, at most {ioi_storage.chunk_limit})",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if not 1 <= options.chunk_bytes <= ioi_storage.chunk_limit:
        raise InputError(f"--chunk-bytes: give 1 to {ioi_storage.chunk_limit}")
    with opened_store(options, read_only=True) as store, storage_errors():
        row = store.latest if options.version is None else store.version_row(options.version)
        with directory.created_beside(os.path.realpath(options.directory), "a snapshot", locked=False) as (beside, files):
            with Progress("keys", options) as progress:
                keys = chunks = size = 0
                for chunk in store.snapshot(row.version, chunk_bytes=options.chunk_bytes):
                    _write(os.path.join(beside, chunk_name(chunk.number)), chunk.data)
                    keys, chunks, size = keys + chunk.keys, chunks + 1, size + len(chunk.data)
                    progress(keys, row.keys)
            _write(os.path.join(beside, MANIFEST), store.manifest(row.version, chunks, size).encode())
        files.close()
        shown = {
            "snapshot": options.directory, "version": row.version, "state_root": row.root.hex(),
            "keys": keys, "chunks": chunks, "bytes": size,
        }
    (print_json if options.json else print_fields)(shown)
    return 0


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
