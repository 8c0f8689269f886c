"""ioi-exec check: find all that is wrong with a state."""

from __future__ import annotations

import argparse
from typing import Any

import ioi_storage
from ioi_storage import Finding

from ioi_exec.cli.maintenance import Progress
from ioi_exec.cli.options import Commands, add_command, print_json
from ioi_exec.errors import StateCorrupt
from ioi_exec.state.base import storage_errors

_EPILOG = """Checks the newest version wholly: the tree rehashed, every value, the latest values against it, and what is recorded of all
versions. Works beside a live engine. Exit status 6 if anything is wrong; each finding names table, row and reason."""


def register(commands: Commands) -> None:
    command = add_command(commands, "check", "Find all that is wrong with a state.", _EPILOG, example="ioi-exec check state --deep")
    command.add_argument("--deep", action="store_true", help="check every kept version, and that every row is accounted for")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    shown = print_json if options.json else _print

    def found(finding: Finding) -> None:
        progress.clear()
        shown({"table": finding.table, "row": None if finding.row is None else finding.row.hex(), "reason": finding.reason})

    with Progress("", options) as progress, storage_errors():
        checked = ioi_storage.check(
            options.state, deep=options.deep, on_finding=found, on_progress=lambda what, done, of: progress(done, of, what)
        )
    if options.json:
        print_json({"ok": not checked.findings, **checked.summary})
    count = checked.summary["findings"]
    if not checked.findings:
        if not options.json:
            print(_whole(checked.summary))
        return 0
    if not options.json:
        left_out = count - len(checked.findings)
        print(f"{count} findings" + (f", {left_out} of them not shown" if left_out else "") + ": the state is corrupt")
    return StateCorrupt.exit_status


def _print(finding: dict[str, Any]) -> None:
    row = "" if finding["row"] is None else f"row {finding['row']} of "
    table = "" if finding["table"] is None else f"table {finding['table']}: "
    print(f"{row}{table}{finding['reason']}", flush=True)


def _whole(summary: dict[str, Any]) -> str:
    versions = f"versions {summary['oldest_version']} to {summary['version']}" if summary["deep"] else f"version {summary['version']}"
    return f"ok: {versions}  {summary['keys']} keys  root {summary['root']}"
