"""ioi-exec export: a version of a state as a genesis."""

from __future__ import annotations

import argparse

from ioi_exec.cli.maintenance import Progress, opened_store
from ioi_exec.cli.options import Commands, add_command, whole_number
from ioi_exec.cli.streams import add_output, output_file
from ioi_exec.files.genesis import genesis_text
from ioi_exec.state.base import storage_errors
from ioi_exec.state.heights import row_at_height
from ioi_exec.state.identity import Identity

_EPILOG = """`ioi-exec init --genesis FILE` makes a state with the same keys and values of it, at version 0: on jellyfish with the same root; the
root of an iavl tree also depends on the versions its keys were written in. It says nothing of the VM, the chain, gas and heights: give those to
init, which may be others. So an upgrade can be rehearsed: init with the new VM and --initial-height, then run. To keep a state as
it is, use dump and load, or snapshot and restore."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "export", "Write a version of a state as a genesis.", _EPILOG,
        example="ioi-exec export state -o exported.json",
    )
    command.add_argument("--height", type=whole_number, metavar="H", help="as the block of height H left it (default: the newest)")
    add_output(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with opened_store(options, read_only=True) as store:
        row = store.latest if options.height is None else row_at_height(store, options.height)
        accounts = Identity.from_meta(store.meta).vm_at(row.height).name == "payments"
        shown = Progress("keys", options, streaming=options.output is None)
        with output_file(options.output) as out, shown as progress, storage_errors():
            for count, piece in enumerate(genesis_text(lambda: store.pairs(row.version), accounts=accounts)):
                out.write(piece)
                if count % 1000 == 0:
                    progress(count)
    return 0
