"""Blocks of Ethereum on some workers against one by one: `python -m tools.bench ethereum [FILE...]`.

Every made world, the block that the repository carries, and block files as `ioi-exec ethereum run` takes them. Each is executed one by one, on
one worker and on all of them in turns, whatever the engine would choose; a ratio is that of the least times of each, as in
`ioi-stress explain`, which also says what is possible on so many cores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import ioi_stress
from ioi_stress.workloads import make, parameters_of
from ioi_stress.workloads.evm import Evm

CARRIED = Path(__file__).parents[2] / "examples" / "ethereum" / "19933122.json.xz"


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench ethereum", description="measure blocks of Ethereum on workers")
    parser.add_argument("files", metavar="FILE", nargs="*", default=[str(CARRIED)], help="blocks (default: the one of examples/ethereum)")
    parser.add_argument("--no-worlds", action="store_true", help="files alone")
    parser.add_argument("--block-size", type=int, default=50, help="transactions of a world's block (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="default %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args(given)
    (world,) = (each for each in parameters_of(Evm) if each.name == "world")
    worlds = () if arguments.no_worlds else world.choices or ()
    loads: list[tuple[str, Any]] = [(name, make("evm", world=name, block_size=arguments.block_size)) for name in worlds]
    loads += [(Path(file).name.split(".")[0], make("ethereum", file=file)) for file in arguments.files]
    if not arguments.json:
        print(f"{'block':<12} {'txs':>4} {'one by one':>10} {'1 worker':>9} {f'{arguments.workers} workers':>9} {'ratio':>6} {'possible':>8} {'of it':>6}")
    for name, load in loads:
        one, all_of_them = (
            ioi_stress.explain(load, workers=workers, policy="all-workers", repeat=arguments.rounds) for workers in (1, arguments.workers)
        )
        row = {
            "block": name, "transactions": all_of_them.transactions, "workers": arguments.workers,
            "one_by_one_ms": 1e3 * min(*one.recording.sequential, *all_of_them.recording.sequential),
            "one_worker_ms": 1e3 * min(one.recording.parallel), "ms": 1e3 * min(all_of_them.recording.parallel),
            "ratio": all_of_them.had, "possible": all_of_them.possible.at_most, "preempted": all_of_them.preempted,
        }
        print(json.dumps(row) if arguments.json else _line(row), flush=True)
    return 0


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['block']:<12} {row['transactions']:>4} {row['one_by_one_ms']:>7.1f} ms {row['one_worker_ms']:>6.1f} ms {row['ms']:>6.1f} ms "
        f"{row['ratio']:>6.2f} {row['possible']:>8.2f} {row['ratio'] / row['possible']:>6.0%}"
        + (f"   other processes had the cores for {row['preempted']:.0%} of the time" if row["preempted"] > 0.05 else "")
    )
