"""ioi-exec rollback: go back to an earlier version."""

from __future__ import annotations

import argparse

from ioi_exec.cli.maintenance import add_yes, confirmed, opened_store, versions
from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_fields,
    print_json,
    whole_number,
)

_EPILOG = """Everything is as if the later versions had never been. Once begun it cannot be called off: interrupted, it is finished
by the next command that opens the state for writing."""


def register(commands: Commands) -> None:
    command = add_command(commands, "rollback", "Go back to an earlier version.", _EPILOG, example="ioi-exec rollback state 0 --yes")
    command.add_argument("version", type=whole_number, metavar="VERSION", help="the version to go back to, which must be kept")
    add_yes(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with opened_store(options, read_only=not options.yes) as store:
        store.version_row(options.version)
        newest = store.version
        lost = f"{versions(options.version + 1, newest)} would be lost" if options.version < newest else "nothing would change"
        confirmed(options, lost)
        store.rollback(options.version)
        row = store.latest
        shown = {"version": row.version, "height": row.height, "state_root": row.root.hex(), "versions_lost": newest - row.version}
    (print_json if options.json else print_fields)(shown)
    return 0
