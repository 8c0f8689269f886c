"""The command line `ioi-exec`: one file a command, each with `register` and `run`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import NoReturn, Sequence

from ioi_exec._version import __version__
from ioi_exec.cli import check, diff, dump, get, info, init, load, prove, prune, restore, rollback, run, snapshot, verify
from ioi_exec.cli.failure import INTERRUPTED, USAGE, exit_status, report
from ioi_exec.cli.streams import ensure_streams, give_up_output, name_stream

_EPILOG = """exit status: 0 done, 1 failed, 2 wrong usage or input, 3 state in use, 4 disk or memory,
5 results diverged from what was expected, 6 state corrupt"""


class _Parser(argparse.ArgumentParser):
    """Usage errors as every other error: with --json, one object on standard error."""

    as_json = False

    def error(self, message: str) -> NoReturn:
        if not _Parser.as_json:
            self.print_usage(sys.stderr)
        report(f"{message} (see {self.prog} --help)", "UsageError", USAGE, _Parser.as_json)
        raise SystemExit(USAGE)


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="ioi-exec",
        description="Execute blocks of transactions on all cores, and commit them to a Merkle tree.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"ioi-exec {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (init, run, get, info, prove, verify, check, diff, dump, load, snapshot, restore, prune, rollback):
        command.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    ensure_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    _Parser.as_json = "--json" in given
    # With --json, standard error holds the error object and nothing else.
    level = logging.ERROR if _Parser.as_json else logging.WARNING
    logging.basicConfig(level=level, format="ioi-exec: %(message)s", stream=sys.stderr)
    try:
        options = parser().parse_args(given)
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)  # a VM of one's own is found from the working directory
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        report("interrupted: what was committed before stays, nothing else was", "Interrupted", INTERRUPTED, _Parser.as_json)
        return INTERRUPTED
    except BrokenPipeError:
        give_up_output()  # whoever read it has gone
        return 1
    except Exception as error:
        if isinstance(error, OSError):
            name_stream(error)
        status = exit_status(error)
        report(error, type(error).__name__, status, _Parser.as_json)
        return status
