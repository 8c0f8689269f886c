"""ioi-exec info: what a state is, and where it stands."""

from __future__ import annotations

import argparse

from ioi_exec.cli.describe import described
from ioi_exec.cli.options import Commands, add_command, print_fields, print_json
from ioi_exec.machine import ExecutionMachine


def register(commands: Commands) -> None:
    command = add_command(
        commands, "info", "Print what a state is and where it stands.", example="ioi-exec info state --json"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with ExecutionMachine.open(options.state, read_only=True, workers=0) as machine:
        # What executing may take of shared memory; null: what is free. `machine.footprint` has what a machine takes.
        memory = {"arena_most": machine.limits.arena_bytes, "cache_most": machine.limits.cache_bytes}
        shown = {"state": options.state, **described(machine.info), "upkeep": machine.upkeep, "memory": memory}
    (print_json if options.json else print_fields)(shown)
    return 0
