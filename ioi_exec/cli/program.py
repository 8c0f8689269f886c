"""A program of several commands: how its errors, its interruption and its exit statuses come out, whatever the command."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import NoReturn, Protocol, Sequence

from ioi_exec._version import __version__
from ioi_exec.cli.failure import INTERRUPTED, USAGE, exit_status, report
from ioi_exec.cli.interruption import ending_is_interruption
from ioi_exec.cli.options import Commands, find_own_code
from ioi_exec.cli.streams import ensure_streams, give_up_output, name_stream, results_alone
from ioi_exec.errors import Error
from ioi_exec.execution.faults import raised_at


class Command(Protocol):
    """A module with a command: `register` adds its parser, whose default `run` takes the parsed options and returns a status."""

    def register(self, commands: Commands) -> None: ...


class _Parser(argparse.ArgumentParser):
    """Usage errors as every other error: with --json, one object on standard error."""

    program = ""
    as_json = False

    def error(self, message: str) -> NoReturn:
        if not _Parser.as_json:
            self.print_usage(sys.stderr)
        report(f"{message} (see {self.prog} --help)", "UsageError", USAGE, _Parser.as_json, _Parser.program)
        raise SystemExit(USAGE)


def parser(program: str, description: str, epilog: str, commands: Sequence[Command]) -> argparse.ArgumentParser:
    top = _Parser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"{program} {__version__}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in commands:
        command.register(subparsers)
    return top


def run(top: argparse.ArgumentParser, arguments: Sequence[str] | None, interrupted: str, *, own_code: bool = False) -> int:
    """Run one command and return its exit status. interrupted: what Ctrl-C, SIGTERM or SIGHUP left behind, in words. own_code: whether all
    commands import from the working directory."""
    ensure_streams()
    with results_alone(), ending_is_interruption():
        return _run(top, list(sys.argv[1:] if arguments is None else arguments), interrupted, own_code)


def _run(top: argparse.ArgumentParser, given: list[str], interrupted: str, own_code: bool) -> int:
    _Parser.program, _Parser.as_json = top.prog, "--json" in given
    # With --json, standard error holds the error object and nothing else.
    level = logging.ERROR if _Parser.as_json else logging.WARNING
    logging.basicConfig(level=level, format=f"{top.prog}: %(message)s", stream=sys.stderr)
    try:
        try:
            options = top.parse_args(given)
        finally:
            sys.stdout.flush()  # --help and --version print and exit
        if own_code:
            find_own_code()
        try:
            status: int = options.run(options)
        except SystemExit as ended:
            # Of a VM's module, say. Nothing that was asked for is done, whatever status it wanted.
            raise Error(
                f"code that was loaded for this ended the program (SystemExit: {ended.code}): it must return instead{raised_at(ended)}"
            ) from None
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        report(f"interrupted: {interrupted}", "Interrupted", INTERRUPTED, _Parser.as_json, top.prog)
        return INTERRUPTED
    except BrokenPipeError:
        give_up_output()  # whoever read it has gone
        return 1
    except Exception as error:
        if isinstance(error, OSError):
            name_stream(error)
        status = exit_status(error)
        report(error, type(error).__name__, status, _Parser.as_json, top.prog)
        return status
