"""ioi-stress explain: why one block was as fast as it was, and how fast it could be."""

from __future__ import annotations

import argparse

from ioi_exec.cli.options import Commands, add_command, print_json, vm_may_print
from ioi_stress.cli.recording_options import add_recording, chosen_options, positive
from ioi_stress.cli.workload_options import add_workloads
from ioi_stress.explaining.report import TOP, report
from ioi_stress.library import explain

_EPILOG = """It says which keys its transactions fought over and what that cost, who aborted whom, and how long the critical path
is: the longest chain of transactions that read what the one before wrote. No schedule is faster than that, on any
number of cores."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "explain",
        "Explain the speed of one block: conflicts, critical path, best possible speed-up.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress explain zipf --block-size 500\nioi-stress explain hot --block-size 200 --cost-us 50 --top 3\n"
        "ioi-stress explain chain --block-size 200 --repeat 3 --json",
    )
    add_workloads(command, _options)
    command.set_defaults(run=run)


def _options(parser: argparse.ArgumentParser) -> None:
    add_recording(parser, repeat=5)
    parser.add_argument(
        "--top", type=positive, default=TOP, metavar="N", help="rows of each table (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    with vm_may_print():
        found = explain(**chosen_options(options))
    if options.json:
        print_json(found.to_json(options.top))
    else:
        print(report(found, options.top))
    return 0
