"""A node: CheckTx of payments a second on one connection, each sent behind the other; and the transactions that a CometBFT commits a second over it,
beside those over an application that does nothing behind the same socket (and beside CometBFT's built-in one).

The nodes are of one validator, with blocks 100 ms apart and no index; transactions are sent by broadcast_tx_async, 100 a request. In each round
both are started anew, in turns, and the ratio is taken within it. Needs a CometBFT: --cometbft, IOI_COMETBFT or PATH.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ioi_exec.errors import InputError
from ioi_exec.node.devnet import cometbft
from ioi_stress.notation.text import table
from tools.bench.figures import Figure
from tools.bench.node_load import (
    BATCH,
    batches,
    checks,
    committed_seconds,
    init_home,
    let_in_seconds,
    listening,
    node,
    transfers,
)

_KINDS = ("serve", "nothing", "built in")
_WARM = 5_000  # transactions


def checked(count: int, rounds: int) -> Figure:
    """CheckTx a second."""
    requests = checks(transfers(count))
    with tempfile.TemporaryDirectory(prefix="ioi") as name:
        folder = Path(name)
        init_home(folder)
        where = folder / "home" / "abci.sock"
        with listening([sys.executable, "-m", "ioi_exec", "serve", "home"], folder, where):
            return Figure.of([count / let_in_seconds(where, requests, count) for _ in range(rounds + 1)][1:])


def committed(kind: str, binary: Path, warm: list[bytes], requests: list[bytes]) -> float:
    """Transactions a second. warm: sent before, and not counted: the first blocks start workers and fill caches."""
    count = BATCH * len(requests)
    with tempfile.TemporaryDirectory(prefix="ioi") as name, ExitStack() as running:
        folder, proxy_app = Path(name), "noop"
        if kind == "serve":
            init_home(folder)
            where = folder / "home" / "abci.sock"
            running.enter_context(listening([sys.executable, "-m", "ioi_exec", "serve", "home"], folder, where))
            proxy_app = f"unix://{where}"
        elif kind == "nothing":
            where = folder / "nothing.sock"
            script = [sys.executable, str(Path(__file__).with_name("node_nothing.py")), str(where)]
            running.enter_context(listening(script, folder, where))
            proxy_app = f"unix://{where}"
        running.enter_context(node(binary, folder, proxy_app))
        committed_seconds(folder / "rpc", warm, BATCH * len(warm))
        return count / committed_seconds(folder / "rpc", requests, count)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench node", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=100_000, help="CheckTx of a round (default: 100,000)")
    parser.add_argument("--transactions", type=int, default=20_000, help="that are committed in a round (default: 20,000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cometbft", metavar="PATH", help="the program (default: IOI_COMETBFT, or the one on PATH)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.transactions < BATCH or options.transactions % BATCH or options.checks < 1 or options.rounds < 1:
        parser.error(f"--transactions is a multiple of {BATCH}, --checks and --rounds are 1 or more")
    try:
        binary = cometbft(options.cometbft)
    except InputError as error:
        parser.error(str(error))
    check = checked(options.checks, options.rounds)
    requests = batches(transfers(_WARM + options.transactions))
    warm, requests = requests[: _WARM // BATCH], requests[_WARM // BATCH :]
    speeds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for turn in range(options.rounds):
        for kind in _KINDS if turn % 2 else _KINDS[::-1]:
            speeds[kind].append(committed(kind, binary, warm, requests))
    ratios = {kind: Figure.of(a / b for a, b in zip(speeds["serve"], speeds[kind])) for kind in _KINDS[1:]}
    if options.json:
        said: dict[str, Any] = {"checks_per_second": check.median, "transactions_per_second": speeds}
        print(json.dumps({**said, "of_nothing": ratios["nothing"].median, "of_built_in": ratios["built in"].median}))
        return 0
    print(f"CheckTx a second, one connection: {check}\n")
    rows = [(kind, str(Figure.of(speeds[kind])), str(ratios[kind]) if kind in ratios else "") for kind in _KINDS]
    print(table(("application", "transactions/s", "serve is of it"), rows))
    return 0
