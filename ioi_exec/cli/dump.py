"""ioi-exec dump: a whole version of a state as JSON lines."""

from __future__ import annotations

import argparse

from ioi_exec.cli.maintenance import Progress, opened_store
from ioi_exec.cli.options import Commands, add_command, whole_number
from ioi_exec.cli.streams import add_output, output_file
from ioi_exec.files.dump import DumpHead, pair_line
from ioi_exec.state.base import storage_errors
from ioi_exec.state.identity import Identity

_EPILOG = """The first line says what the state is, then comes one pair a line, each checked against the root, in the order of the
tree: by key (iavl), or by the hash of the key (jellyfish). `ioi-exec load` makes a state of it."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "dump", "Write a whole version of a state as JSON lines.", _EPILOG,
        example="ioi-exec dump state -o dump.jsonl",
    )
    command.add_argument("--version", type=whole_number, metavar="N", help="as of version N (default: the newest)")
    add_output(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with opened_store(options, read_only=True) as store:
        row = store.latest if options.version is None else store.version_row(options.version)
        identity = Identity.from_meta(store.meta)
        head = DumpHead(
            store.tree, row.version, row.root, row.height, row.keys, identity.vm_at(row.height), identity.limits, identity.chain_id,
            identity.gas, identity.pending(row.height),
        )
        shown = Progress("keys", options, streaming=options.output is None)
        with output_file(options.output) as out, shown as progress, storage_errors():
            out.write(head.line() + "\n")
            for count, (key, value) in enumerate(store.pairs(row.version), 1):
                out.write(pair_line(key, value) + "\n")
                if count % 1000 == 0:
                    progress(count, row.keys)
    return 0
