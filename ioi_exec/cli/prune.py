"""ioi-exec prune: delete what only old versions needed."""

from __future__ import annotations

import argparse

from ioi_exec.cli.maintenance import (
    Progress,
    add_yes,
    confirmed,
    opened_store,
    versions,
)
from ioi_exec.cli.options import (
    Commands,
    add_command,
    print_fields,
    print_json,
    whole_number,
)
from ioi_exec.errors import InputError

_EPILOG = """Versions that are kept stay exactly as they are. Interrupted, it loses nothing: the next prune goes on. The file does
not shrink, but what becomes free in it is used again."""


def register(commands: Commands) -> None:
    command = add_command(
        commands, "prune", "Delete what only old versions needed.", _EPILOG, example="ioi-exec prune state --keep 100 --yes"
    )
    command.add_argument("--keep", required=True, type=whole_number, metavar="N", help="how many of the newest versions to keep")
    add_yes(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.keep < 1:
        raise InputError("--keep: give at least 1, the newest version")
    with opened_store(options, read_only=not options.yes) as store:
        oldest = store.oldest
        goes = max(0, store.version - options.keep + 1 - oldest)
        confirmed(options, f"{versions(oldest, oldest + goes - 1)} would go" if goes else "no version would go")
        with Progress("rows deleted", options) as progress:
            rows = store.prune(options.keep, progress)
        shown = {"version": store.version, "oldest_version": store.oldest, "rows_deleted": rows}
    (print_json if options.json else print_fields)(shown)
    return 0
