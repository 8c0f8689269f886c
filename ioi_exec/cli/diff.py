"""ioi-exec diff: the keys that changed between two versions."""

from __future__ import annotations

import argparse
import sys

from ioi_exec.cli.maintenance import Progress, opened_store
from ioi_exec.cli.options import Commands, add_command, whole_number
from ioi_exec.state.base import storage_errors

_EPILOG = """One line a key: + appeared, - vanished, ~ has another value; with --json also both values. In the order of the tree. Costs
what changed, not what is there. With no difference it prints nothing."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "diff", "Print the keys that changed between two versions.", _EPILOG, example="ioi-exec diff state 0 1"
    )
    command.add_argument("old", type=whole_number, metavar="V1", help="the version to compare with")
    command.add_argument("new", type=whole_number, metavar="V2", help="the version whose changes are shown")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    write = sys.stdout.write
    with opened_store(options, read_only=True) as store:
        with Progress("keys that changed", options, streaming=True) as progress, storage_errors():
            for count, (key, old, new) in enumerate(store.diff(options.old, options.new), 1):
                if options.json:
                    old_hex, new_hex = ("null" if value is None else f'"{value.hex()}"' for value in (old, new))
                    write(f'{{"key": "{key.hex()}", "old": {old_hex}, "new": {new_hex}}}\n')
                else:
                    write(f"{'+' if old is None else '-' if new is None else '~'} {key.hex()}\n")
                if count % 1000 == 0:
                    progress(count)
    return 0
