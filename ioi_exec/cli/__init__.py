"""The command line `ioi-exec`: one file a command, each with `register` and `run`."""

from __future__ import annotations

import argparse
from typing import Sequence

from ioi_exec.cli import (
    check,
    dev,
    devnet,
    diff,
    dump,
    ethereum,
    export,
    get,
    info,
    init,
    keys,
    load,
    node,
    program,
    prove,
    prune,
    receipts,
    restore,
    rollback,
    run,
    serve,
    snapshot,
    tx,
    upgrade,
    verify,
)

_EPILOG = """exit status: 0 done, 1 failed or interrupted, 2 wrong usage or input, 3 state in use, 4 disk or memory,
5 results diverged from what was expected, 6 state corrupt"""
_COMMANDS = (
    init, run, get, info, receipts, tx, prove, verify, check, diff, dump, load, export, snapshot, restore, prune, rollback, upgrade, node, serve,
    dev, devnet, keys, ethereum,
)


def parser() -> argparse.ArgumentParser:
    return program.parser(
        "ioi-exec", "Execute blocks of transactions on all cores, and commit them to a Merkle tree.", _EPILOG, _COMMANDS
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return program.run(parser(), arguments, "what was committed stays, and nothing was by halves")
