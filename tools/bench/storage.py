"""Measures staging and committing: `python -m tools.bench storage`.

Blocks update random existing keys of a state; every `--inserts` in a thousand inserts a new one instead. Times are wall
clock, medians over the blocks, in milliseconds. Without --path the state is made in a temporary directory of the
working directory, so that it lies on a real disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time

from ioi_storage import Store, receipts_merkle_root
from ioi_storage._core import sha256_backend


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench storage", description="measure staging and committing of blocks")
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys in the genesis (default 1000000)")
    parser.add_argument("--block", type=int, default=10_000, help="writes a block (default 10000)")
    parser.add_argument("--blocks", type=int, default=20, help="blocks measured (default 20)")
    parser.add_argument("--value", type=int, default=24, help="bytes a value (default 24)")
    parser.add_argument("--inserts", type=int, default=0, help="new keys in a thousand writes (default 0)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", help="directory to put the state into (default: a temporary one here)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(dir=arguments.path or os.getcwd(), prefix=".bench-") as directory:
        figures = measure(arguments, os.path.join(directory, "state"))
    if arguments.json:
        print(json.dumps(figures))
        return 0
    for name, figure in figures.items():
        print(f"{name:>16}  {figure}")
    return 0


def measure(arguments: argparse.Namespace, path: str) -> dict[str, object]:
    rng = random.Random(arguments.seed)
    keys = [b"acct/" + rng.randbytes(32) for _ in range(arguments.keys)]
    begin = time.perf_counter()
    store = Store.create(path, meta={}, genesis=((key, rng.randbytes(arguments.value)) for key in keys))
    created = time.perf_counter() - begin
    stage_ms: list[float] = []
    commit_ms: list[float] = []
    with store:
        for number in range(arguments.blocks):
            batch = next_batch(rng, keys, arguments)
            begin = time.perf_counter()
            staged = store.stage(batch)
            middle = time.perf_counter()
            store.commit(
                staged,
                receipts_root=receipts_merkle_root(b"", b""),
                height=number + 1,
                header=b"",
                transactions=len(batch),
                failed=0,
            )
            stage_ms.append(1e3 * (middle - begin))
            commit_ms.append(1e3 * (time.perf_counter() - middle))
        size = os.path.getsize(os.path.join(path, "data.mdb"))
    return {
        "sha256": sha256_backend(),
        "keys": arguments.keys,
        "block": arguments.block,
        "blocks": arguments.blocks,
        "create_s": round(created, 2),
        "stage_ms": round(statistics.median(stage_ms), 1),
        "stage_max_ms": round(max(stage_ms), 1),
        "commit_ms": round(statistics.median(commit_ms), 1),
        "commit_max_ms": round(max(commit_ms), 1),
        "file_mb": size // 2**20,
    }


def next_batch(rng: random.Random, keys: list[bytes], arguments: argparse.Namespace) -> list[tuple[bytes, bytes]]:
    fresh = arguments.block * arguments.inserts // 1000
    chosen = rng.sample(keys, min(len(keys), arguments.block - fresh))
    for _ in range(fresh):
        keys.append(b"acct/" + rng.randbytes(32))
        chosen.append(keys[-1])
    return sorted((key, rng.randbytes(arguments.value)) for key in chosen)

