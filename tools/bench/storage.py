"""What a state costs at several sizes: `python -m tools.bench storage`.

Blocks update random existing keys; --inserts in a thousand writes insert a new one instead. Figures are medians with what
a tenth is below and above: of wall clock in s and ms, of the thread's own CPU time in cpu ms and us. A state lies in a
temporary directory of --path while it is measured, one at a time: 0.6 kB of disk a key, and what its blocks write. Keys that
memory has no room for (1.2 kB each) are sorted by the state itself, which takes long.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from typing import Any

from ioi_storage._core import sha256_backend

from ioi_stress.notation.text import table
from tools.bench import sha256, storage_load, storage_reads
from tools.bench.figures import Figure
from tools.bench.storage_load import Load

_DISK_A_KEY, _DISK_A_WRITE = 1_500, 4_000  # bytes, at most

# The goal on 1,000,000 keys and blocks of 10,000.
GOALS = {"genesis s": 10.0, "stage ms": 40.0, "commit ms": 60.0, "get us": 2.5, "prove us": 100.0}


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench storage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", default="10000,100000,1000000", help="sizes, with commas between (default %(default)s)")
    parser.add_argument("--tree", choices=("jellyfish", "iavl"), default="jellyfish", help="default %(default)s")
    parser.add_argument("--block", type=int, default=10_000, help="writes a block (default %(default)s)")
    parser.add_argument("--blocks", type=int, default=20, help="blocks measured of each kind (default %(default)s)")
    parser.add_argument("--warm", type=int, default=15, help="blocks before those (default %(default)s)")
    parser.add_argument("--value", type=int, default=24, help="bytes a value (default %(default)s)")
    parser.add_argument("--inserts", type=int, default=0, help="new keys in a thousand writes (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", default=os.getcwd(), help="directory to put the states into (default: this one)")
    parser.add_argument("--json", action="store_true", help="one JSON object a size")
    chosen = parser.parse_args(given)
    sizes = [int(text.replace("_", "")) for text in chosen.keys.split(",")]
    columns: list[dict[str, Figure]] = []
    for keys in sizes:
        room = _DISK_A_KEY * keys + _DISK_A_WRITE * chosen.block * (2 * chosen.blocks + chosen.warm)
        if shutil.disk_usage(chosen.path).free < room:
            print(f"{keys:,} keys need up to {room / 1e9:.1f} GB of disk at {chosen.path}: give another --path", file=sys.stderr)
            return 1
        figures = measure(Load(keys, chosen.block, chosen.value, chosen.inserts, chosen.seed), chosen)
        columns.append(figures)
        if chosen.json:
            named = {name: figure._asdict() for name, figure in figures.items()}
            print(json.dumps({"tree": chosen.tree, "keys": keys, "block": chosen.block, "figures": named}), flush=True)
    hashing = sha256.measure()
    if chosen.json:
        print(json.dumps({"sha256 ns": hashing, "in use": sha256_backend()}))
        return 0
    print(f"{chosen.tree}, blocks of {chosen.block:,} writes; load of this machine {os.getloadavg()[0]:.1f}")
    heads = ["keys", *(f"{keys:,}" for keys in sizes), "goal at 1,000,000"]
    print(table(heads, ([name, *(str(column[name]) for column in columns), goal(name)] for name in columns[0])))
    print(f"\nSHA-256 in use: {sha256_backend()}")
    print(table(["messages of 64 bytes", "a call", "ns a message"], map(hash_line, hashing)))
    return 0


def goal(name: str) -> str:
    return f"<= {GOALS[name]:g}" if name in GOALS else ""


def hash_line(row: dict[str, Any]) -> list[str]:
    return [row["backend"], str(row["messages"]), f"{row['median']} ({row['p10']}..{row['p90']})"]


def measure(load: Load, chosen: argparse.Namespace) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(dir=chosen.path, prefix=".bench-") as directory:
        path = os.path.join(directory, "state")
        store, seconds = storage_load.create(load, path, chosen.tree)
        figures = {"genesis s": Figure.of([seconds]), "file MiB": storage_load.file_mb(path)}
        with store:
            figures.update(storage_load.blocks(store, load, chosen.blocks, chosen.warm))
        figures["file MiB after the blocks"] = storage_load.file_mb(path)
        figures.update(storage_load.first_block(path, load))
        figures.update(storage_reads.reads(path, load))
        figures.update(storage_reads.proofs(path, load))
    return figures
