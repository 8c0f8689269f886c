"""Staging a block in several threads against staging it in one: `python -m tools.bench stage`.

Every number of threads has a copy of the state, on which it stages and commits the same blocks of random existing keys, in
turn with the others. After each block the latest values are brought up, so that no process is at that meanwhile; before the
first, two large ones fill the memory of the tree. Wall clock in milliseconds, medians over the rounds; a ratio is
that of two stagings of one block, with its quartiles: what else the machine does keeps threads waiting for each other.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from typing import Any

from ioi_storage import Store, Threads

WARM = 2  # blocks
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), header=b"", transactions=0, failed=0)


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench stage", description="measure staging in several threads")
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys in the state (default %(default)s)")
    parser.add_argument("--tree", choices=("jellyfish", "iavl"), default="jellyfish", help="default %(default)s")
    parser.add_argument("--block", type=int, default=10_000, help="writes a block (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="default %(default)s")
    parser.add_argument("--threads", type=int, nargs="*", default=[2], help="numbers compared with 1 (default 2)")
    parser.add_argument("--value", type=int, default=24, help="bytes a value (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", help="directory to put the state into (default: a temporary one here)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(dir=arguments.path or os.getcwd(), prefix=".bench-") as directory:
        milliseconds = measure(arguments, directory)
    one = milliseconds[1]
    figures = {}
    for threads, times in milliseconds.items():
        quartiles = statistics.quantiles([many / alone for many, alone in zip(times, one)], n=4)
        figures[threads] = {"stage_ms": round(statistics.median(times), 1), "ratio": [round(ratio, 3) for ratio in quartiles]}
    if arguments.json:
        print(json.dumps({"keys": arguments.keys, "tree": arguments.tree, "block": arguments.block, "threads": figures}))
        return 0
    print(f"{arguments.tree}, {arguments.keys:,} keys, blocks of {arguments.block:,} writes; load {os.getloadavg()[0]:.1f}")
    for threads, figure in figures.items():
        low, middle, high = figure["ratio"]
        beside = "" if threads == 1 else f"   {middle:.2f} of one thread ({low:.2f}..{high:.2f})"
        print(f"{threads:>3} thread{'s' if threads > 1 else ' '}  {figure['stage_ms']:7.1f} ms{beside}")
    return 0


def measure(arguments: argparse.Namespace, directory: str) -> dict[int, list[float]]:
    """Milliseconds of every round by the number of threads."""
    rng = random.Random(arguments.seed)
    keys = [b"acct/" + rng.randbytes(32) for _ in range(arguments.keys)]
    path = os.path.join(directory, "1")
    Store.create(
        path, tree=arguments.tree, meta={}, genesis=((key, rng.randbytes(arguments.value)) for key in keys)
    ).close()
    maps = {threads: Threads(threads) for threads in sorted({1, *arguments.threads})}
    times: dict[int, list[float]] = {threads: [] for threads in maps}
    with ExitStack() as stack:
        stores = {}
        for threads in maps:
            if threads > 1:
                shutil.copytree(path, os.path.join(directory, str(threads)))
        for threads in maps:
            stores[threads] = stack.enter_context(Store.open(os.path.join(directory, str(threads))))
        gc.collect()
        gc.freeze()  # a million keys that stay: not to be walked over again and again
        for number in range(WARM + arguments.rounds):
            size = min(len(keys), arguments.block * (15 if number < WARM else 1))
            block = sorted((key, rng.randbytes(arguments.value)) for key in rng.sample(keys, size))
            for threads in sorted(maps, reverse=bool(number % 2)):
                seconds = staged_and_committed(stores[threads], block, maps[threads])
                if number >= WARM:
                    times[threads].append(1e3 * seconds)
            assert len({store.root for store in stores.values()}) == 1, "threads changed the root"
    for helpers in maps.values():
        helpers.close()
    return times


def staged_and_committed(store: Store, block: list[tuple[bytes, bytes]], threads: Threads) -> float:
    """The seconds it took to stage it."""
    begin = time.perf_counter()
    staged = store.stage(block, map=threads)
    seconds = time.perf_counter() - begin
    store.commit(staged, height=store.version + 1, **FIELDS)
    store.settle()
    return seconds
