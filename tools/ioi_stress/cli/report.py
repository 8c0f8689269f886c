"""ioi-stress report: a saved result or a sweep as one page."""

from __future__ import annotations

import argparse
from typing import Callable

from ioi_exec import InputError
from ioi_exec.cli.options import Commands, add_command, print_json
from ioi_exec.cli.streams import output_file
from ioi_stress.cli.outputs import check_outputs
from ioi_stress.cli.report_options import same_machine
from ioi_stress.report import run_page, sweep_page
from ioi_stress.results.result import Result
from ioi_stress.sweeps import Sweep

_EPILOG = """The page is one file that needs no network: verdict, figures with their intervals, plots, every repetition,
parameters and machine. It is the same to the byte for the same file. `ioi-stress run ... --report FILE` makes one that
also has a block's timeline, which a saved result does not keep."""
_UNRECORDED = "A saved result keeps no timeline. `ioi-stress run ... --report FILE` records one and shows it here."


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
    kind, made = _page(options.file)
    with output_file(options.output) as stream:
        stream.write(made)
    if options.json:
        print_json({"of": kind, "file": options.output})
    return 0


def _page(path: str) -> tuple[str, str]:
    """(of what, page). Raises InputError, OSError."""
    with open(path, "rb") as stream:
        content = stream.read()
    if content.lstrip()[:1] == b"{":
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: no JSON: {error}") from None
        result = Result.from_json(text, path)
        return "run", _checked(path, lambda: run_page(result, unrecorded=_UNRECORDED))
    sweep = Sweep.read(path)
    return "sweep", _checked(path, lambda: sweep_page(sweep, same_machine(sweep)))


def _checked(path: str, make: Callable[[], str]) -> str:
    """Raises InputError for a file whose values are not what a measurement has: its frame alone was looked at when it
    was read."""
    try:
        return make()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{path}: has values that were not measured, damaged or of another version: {error!r}"
        ) from error
