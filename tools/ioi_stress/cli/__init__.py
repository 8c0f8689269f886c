"""The command line `ioi-stress`: one file a command, each with `register` and `run`."""

from __future__ import annotations

import argparse
from typing import Sequence

from ioi_exec.cli import program
from ioi_stress.cli import (
    chaos,
    compare,
    explain,
    plot,
    replay,
    report,
    run,
    rwset,
    simulate,
    soak,
    sweep,
    trace,
    workloads,
)

_EPILOG = """exit status: 0 done and verified, 1 failed or interrupted, 2 wrong usage or input, 3 state in use,
4 disk or memory, 5 results differed from sequential execution, 6 state corrupt, 7 nothing to judge: what was seen gives no verdict"""
_COMMANDS: tuple[program.Command, ...] = (run, replay, rwset, sweep, plot, compare, report, trace, explain, simulate, chaos, soak, workloads)


def parser() -> argparse.ArgumentParser:
    return program.parser(
        "ioi-stress", "Make workloads, run them in parallel, verify every result, and show what happened.", _EPILOG, _COMMANDS
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return program.run(parser(), arguments, "nothing more was measured", own_code=True)
