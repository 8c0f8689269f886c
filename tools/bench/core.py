"""Compile and run core.c: the core's speed without Python around it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def compiled(tree: Path, program: Path) -> None:
    """Make `program` of a tree's core.c and its core."""
    sources = [tree / "tools" / "bench" / "core.c", *sorted((tree / "shm" / "core").glob("*.c"))]
    flags = ["-std=c11", "-O3", "-D_GNU_SOURCE", "-UNDEBUG"]
    subprocess.run([os.environ.get("CC", "gcc"), *flags, *map(str, sources), "-o", str(program)], check=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench core", description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000, help="in a block (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="ioi-bench-") as folder:
        program = Path(folder) / "core"
        compiled(TREE, program)
        ran = subprocess.run([program, str(chosen.transactions), str(chosen.rounds)], stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    if chosen.json:
        print("\n".join(map(json.dumps, rows)))
        return ran.returncode
    print(f"payments through the C core, {chosen.transactions:,} a block, ns per transaction (medians of {chosen.rounds})")
    print(f"  {'accounts':>13}  {'one by one':>10}  {'1 worker':>8}  {'2 workers':>9}  {'executions':>10}  {'validations':>11}  {'solo':>5}")
    for row in rows:
        print(
            f"  {row['accounts']:>13}  {row['sequential_ns']:>10.0f}  {row['one_worker_ns']:>8.0f}  {row['two_workers_ns']:>9.0f}"
            f"  {row['executions']:>9.2f}x  {row['validations']:>10.2f}x  {row['solo']:>4.0%}"
        )
    return ran.returncode
