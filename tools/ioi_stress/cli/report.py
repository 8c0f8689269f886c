"""ioi-stress report: a saved result or a sweep as one page."""

from __future__ import annotations

import argparse

from ioi_exec import InputError
from ioi_exec.cli.options import Commands, add_command, print_json
from ioi_exec.cli.streams import output_file
from ioi_stress.cli.outputs import check_outputs
from ioi_stress.library import page_of, read
from ioi_stress.results.result import Result

_EPILOG = """The page is one file that needs no network: verdict, figures with their intervals, plots, every repetition,
parameters and machine. It is the same to the byte for the same file. `ioi-stress run ... --report FILE` makes one that
also has a block's timeline, which a saved result does not keep."""


def register(commands: Commands) -> None:
    command = add_command(
        commands,
        "report",
        "Make one page of a saved result or a sweep.",
        _EPILOG,
        needs_state=False,
        example="ioi-stress report chain.json -o chain.html\nioi-stress report sweep.csv -o sweep.html",
    )
    command.add_argument("file", metavar="FILE", help="what `ioi-stress run --save` or `ioi-stress sweep -o` wrote")
    command.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="page to write (HTML); - is standard output"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.json and options.output == "-":
        raise InputError("-o - and --json both print: give -o a file")
    check_outputs([options.output], [options.file])
    source = read(options.file)
    page = page_of(source, options.file)
    with output_file(options.output) as stream:
        stream.write(page)
    if options.json:
        print_json({"of": "run" if isinstance(source, Result) else "sweep", "file": options.output})
    return 0
