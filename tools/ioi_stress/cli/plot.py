"""ioi-stress plot: the rows of a sweep as a figure."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from ioi_exec import InputError
from ioi_exec.cli.options import Commands, add_command, print_json
from ioi_stress.sweeps import Sweep
from ioi_stress.sweeps.where import parse_where

FIGURES = {
    "speedup": "times as fast as one by one, against workers",
    "throughput": "transactions a second, against contention (accounts), sequential execution beside",
    "block-size": "transactions a second, against the size of a block",
    "aborts": "aborts and re-executions per transaction, against contention",
    "policies": "policies side by side",
    "paper": "the figures of the Block-STM paper's evaluation, of what `ioi-stress sweep paper` measured",
}
_EPILOG = f"""figures:

{chr(10).join(f"  {name:<11} {what}" for name, what in FIGURES.items())}

A point is the median of its repetitions; its bar holds the true median with 95 %. Of a simulated sweep the bar holds all plays, with
cache lines at half and twice as dear, and what is not predictable is hollow. Whatever varies beside what a figure is drawn
against becomes series; where that is too much, --where chooses. The same file gives the same picture, to the byte."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "plot",
        "Draw the rows of a sweep.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress plot sweep.csv --figure policies --where workers=2 --against accounts -o policies.png\n"
        "ioi-stress plot sweep.csv --figure throughput --where policy=default -o throughput.pdf",
    )
    command.add_argument("file", metavar="FILE", help="CSV that `ioi-stress sweep -o` wrote, finished or not")
    command.add_argument("--figure", required=True, choices=list(FIGURES), help="which (see below)")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="figure to write: .png, .pdf or .svg")
    command.add_argument("--against", metavar="COLUMN", help="what the x axis is, instead of the figure's own")
    command.add_argument("--by", metavar="COLUMN", help="what makes the series")
    command.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE,...",
        help="only rows of these values, of several columns if wanted: workers=1,2,policy=default",
    )
    command.add_argument(
        "--phase",
        choices=["total", "execute"],
        help="time that counts: all of `execute` (total, the default), or without hashing the state (execute)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ioi_stress import plot  # says what to install where matplotlib is missing

    draw = getattr(plot, options.figure.replace("-", "_"))
    takes = inspect.signature(draw).parameters
    given: dict[str, Any] = {
        name: getattr(options, name) for name in ("against", "by", "phase") if getattr(options, name) is not None
    }
    for name in given:
        if name not in takes:
            raise InputError(f"--{name} is not for the figure {options.figure}: leave it out")
    sweep = Sweep.read(options.file)
    columns = list(sweep.rows[0]) if sweep.rows else sweep.point_columns
    draw(sweep, options.output, where=parse_where(options.where, columns), **given)
    if options.json:
        print_json({"figure": options.figure, "file": options.output})
    return 0
