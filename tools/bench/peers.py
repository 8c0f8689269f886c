"""Our trees beside the real ones on the same history: the Rust crate `jmt` 0.12 (in memory) and cosmos/iavl v1.

Each side gets the same genesis of random keys, then block after block of new values for random keys of it. All of them
stay alive and take turns within a round, each round beginning with another; every side's clock covers its own work
alone, not the handing over. What a side does by itself afterwards (a flat table brought up, a compaction, a garbage
collection) is waited for and not counted, so that it falls on nobody else. Roots are compared after every block.

Sides (--only takes these names):
  jellyfish            ours, on disk and flushed to it     stage: root and rows    save: commit
  jmt                  put_value_set, key by key: the only way of the crate that can delete
  jmt-batch            batch_put_value_sets, on the same tree
                       both: stage: root and nodes         save: into hash maps, in memory
  iavl                 ours, on disk and flushed to it     stage: root and rows    save: commit
  iavl-memdb           cosmos/iavl in memory               stage: Set, WorkingHash save: SaveVersion
  iavl-memdb-plain     the same without fast nodes
  iavl-leveldb         cosmos/iavl on goleveldb as the Cosmos SDK has it: fast nodes, not flushed to the disk
  iavl-leveldb-plain   the same without fast nodes
  iavl-leveldb-sync    with fast nodes, each version flushed to the disk, as ours is

Ratios say how many times longer a side takes than ours with the same tree: its stage over our stage, its stage over our
stage and save together, and both over both. They are ratios of the medians; in brackets the median of the ratios
within a round and, which a busy machine disturbs least, the ratio of the best rounds. Needs cargo and Go, which build the programs when first used (some minutes); a side that cannot be
built is left out and named.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import Any, NamedTuple, Optional, Protocol

import psutil
from ioi_storage import Store, Threads, receipts_merkle_root
from ioi_storage._core import sha256_backend
from ioi_storage.errors import UnknownTree

from tools.peers.peer import Peer
from tools.peers.programs import Unavailable, program

Block = list[tuple[bytes, Optional[bytes]]]

# Of each real side: our tree, the program, its arguments ({dir} and {cache} filled in). jmt-batch is a time of jmt's.
REAL = {
    "jmt": ("jellyfish", "jmt", ""),
    "jmt-batch": ("jellyfish", "jmt", ""),
    "iavl-memdb": ("iavl", "iavl", "-backend memdb -cache {cache}"),
    "iavl-memdb-plain": ("iavl", "iavl", "-backend memdb -cache {cache} -fast=false"),
    "iavl-leveldb": ("iavl", "iavl", "-backend goleveldb -dir {dir} -cache {cache}"),
    "iavl-leveldb-plain": ("iavl", "iavl", "-backend goleveldb -dir {dir} -cache {cache} -fast=false"),
    "iavl-leveldb-sync": ("iavl", "iavl", "-backend goleveldb -dir {dir} -cache {cache} -sync"),
}
OURS = ("jellyfish", "iavl")
NAMES = [name for tree in OURS for name in (tree, *(real for real, (of, _, _) in REAL.items() if of == tree))]


class Times(NamedTuple):
    stage: float  # seconds
    save: float

    @property
    def total(self) -> float:
        return self.stage + self.save


class Side(Protocol):
    def load(self, genesis: Block) -> None: ...

    def loaded(self) -> bytes:
        """The root, when it is."""

    def block(self, block: Block) -> tuple[bytes, dict[str, Times]]:
        """The root, and under each name that this side measures its times."""

    def close(self) -> None: ...


class Ours:
    def __init__(self, tree: str, directory: str, threads: int) -> None:
        self._tree = tree
        self._map = Threads(threads)
        self._path = os.path.join(directory, tree)
        self._store: Optional[Store] = None

    def load(self, genesis: Block) -> None:
        pairs = ((key, value) for key, value in genesis if value is not None)
        self._store = Store.create(self._path, tree=self._tree, meta={}, genesis=pairs)

    def loaded(self) -> bytes:
        assert self._store is not None
        return self._store.root

    def block(self, block: Block) -> tuple[bytes, dict[str, Times]]:
        assert self._store is not None
        began = time.perf_counter()
        staged = self._store.stage(block, map=self._map)
        middle = time.perf_counter()
        receipts = receipts_merkle_root(b"", b"")
        self._store.commit(staged, receipts_root=receipts, height=1, header=b"", transactions=len(block), failed=0)
        return staged.root, {self._tree: Times(middle - began, time.perf_counter() - middle)}

    def close(self) -> None:
        self._map.close()
        if self._store is not None:
            self._store.close()


class Real:
    """One process; jmt does both ways of the crate on one tree, whose stages change nothing."""

    def __init__(self, name: str, directory: str, cache: int) -> None:
        self._name = name
        _, executable, arguments = REAL[name]
        directory = tempfile.mkdtemp(dir=directory)
        self._jmt = executable == "jmt"
        self._peer = Peer(program(executable), *arguments.format(dir=directory, cache=cache).split())

    def load(self, genesis: Block) -> None:
        self._peer.send(genesis, "b" if self._jmt else "v")

    def loaded(self) -> bytes:
        return self._peer.receive().root

    def block(self, block: Block) -> tuple[bytes, dict[str, Times]]:
        answer = self._peer.apply(block, "c" if self._jmt else "v")
        if self._jmt:
            slow, quick, keep = answer.seconds
            return answer.root, {"jmt": Times(slow, keep), "jmt-batch": Times(quick, keep)}
        return answer.root, {self._name: Times(*answer.seconds)}

    def close(self) -> None:
        self._peer.close()


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys in the genesis (default 1000000)")
    parser.add_argument("--block", type=int, default=10_000, help="writes a block (default 10000)")
    parser.add_argument("--rounds", type=int, default=15, help="blocks measured (default 15)")
    parser.add_argument("--warm", type=int, default=20, help="blocks before those, which fill the caches (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="SIDE", help="these alone, and ours with the same tree")
    parser.add_argument("--value", type=int, default=24, help="bytes a value (default 24)")
    parser.add_argument("--threads", type=int, default=1, help="threads that ours stages in (default 1, as the others)")
    parser.add_argument("--iavl-cache", type=int, default=781_250, help="nodes cosmos/iavl caches (default: the SDK's, 781250)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", help="directory to put the states into (default: a temporary one here)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: the run, then each side")
    arguments = parser.parse_args(given)
    if arguments.keys < arguments.block:
        parser.error("a block cannot have more keys than the state")
    names = [name for name in NAMES if not arguments.only or name in arguments.only]
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.path or os.getcwd(), prefix=".bench-"))
        sides = start(names, directory, arguments, stack)
        if not sides:
            return 1
        times = run(sides, arguments)
    report(times, arguments)
    return 0


def start(names: list[str], directory: str, arguments: argparse.Namespace, stack: ExitStack) -> dict[str, Side]:
    """The sides that there can be, with ours first for each tree."""
    sides: dict[str, Side] = {}
    for name in names:
        for side in (tree_of(name), name.removesuffix("-batch")):
            if side in sides:
                continue
            try:
                if side in OURS:
                    made: Side = Ours(side, directory, arguments.threads)
                else:
                    made = Real(side, directory, arguments.iavl_cache)
            except (Unavailable, UnknownTree) as reason:
                print(f"{side}: left out: {reason}", file=sys.stderr)
                continue
            stack.callback(made.close)
            sides[side] = made
    return sides


def run(sides: dict[str, Side], arguments: argparse.Namespace) -> dict[str, list[Times]]:
    """Under each name the times of every round, the same rounds for all."""
    rng = random.Random(arguments.seed)
    keys = [b"acct/" + rng.randbytes(32) for _ in range(arguments.keys)]
    genesis: Block = [(key, rng.randbytes(arguments.value)) for key in sorted(keys)]
    for side in sides.values():
        side.load(genesis)
    compare({name: side.loaded() for name, side in sides.items()}, "genesis")
    del genesis
    times: dict[str, list[Times]] = {}
    order = list(sides)
    gc.collect()
    gc.freeze()  # the keys stay: not to be walked over again and again
    for number in range(-arguments.warm, arguments.rounds):
        block: Block = [(key, rng.randbytes(arguments.value)) for key in sorted(rng.sample(keys, arguments.block))]
        roots = {}
        for name in order:
            settle()
            roots[name], measured = sides[name].block(block)
            for measured_name, taken in measured.items():
                if number >= 0:
                    times.setdefault(measured_name, []).append(taken)
        compare(roots, f"block {number}")
        order.append(order.pop(0))
        print(f"\rround {max(0, number + 1)} of {arguments.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return times


def tree_of(name: str) -> str:
    """Which of ours a side is compared with."""
    return REAL[name][0] if name in REAL else name


def compare(roots: dict[str, bytes], where: str) -> None:
    for tree in OURS:
        given = {name: root.hex() for name, root in roots.items() if tree_of(name) == tree}
        if len(set(given.values())) > 1:
            raise AssertionError(f"{where}: the roots differ: {given}")


def settle(quiet: float = 0.2, patience: float = 20.0) -> None:
    """Returns when no child process computes any more, or patience ends."""

    def used() -> float:
        total = 0.0
        for child in psutil.Process().children(recursive=True):
            try:
                total += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                pass
        return total

    before, until = used(), time.monotonic() + patience
    while time.monotonic() < until:
        time.sleep(quiet)
        now = used()
        if abs(now - before) < 0.015:  # the clock ticks in hundredths
            return
        before = now


# ---- the report ----

RATIOS = {"stage:stage": ("stage", "stage"), "stage:total": ("stage", "total"), "total:total": ("total", "total")}
"""Theirs over ours."""


def summary(name: str, times: dict[str, list[Times]]) -> dict[str, Any]:
    """Milliseconds and ratios of a side."""
    mine = times[name]
    low, _, high = statistics.quantiles([t.stage for t in mine], n=4) if len(mine) > 1 else [mine[0].stage] * 3
    row: dict[str, Any] = {"side": name}
    for step in ("stage", "save", "total"):
        row[f"{step}_ms"] = milliseconds(statistics.median(getattr(t, step) for t in mine))
    row["stage_quartiles_ms"] = [milliseconds(low), milliseconds(high)]
    row["best_ms"] = [milliseconds(min(t.stage for t in mine)), milliseconds(min(t.total for t in mine))]
    ours = times.get(tree_of(name))
    if name in REAL and ours:
        for label, (upper, lower) in RATIOS.items():
            above, below = [getattr(t, upper) for t in mine], [getattr(t, lower) for t in ours]
            of_medians = statistics.median(above) / statistics.median(below)
            in_round = statistics.median(a / b for a, b in zip(above, below))
            of_bests = min(above) / min(below)
            row[label] = {"of_medians": round(of_medians, 2), "in_round": round(in_round, 2), "of_bests": round(of_bests, 2)}
    return row


def milliseconds(seconds: float) -> float:
    return round(1e3 * seconds, 2)


def report(times: dict[str, list[Times]], arguments: argparse.Namespace) -> None:
    rows = [summary(name, times) for name in NAMES if name in times]
    load = os.getloadavg()[0]
    if arguments.json:
        run = {name: getattr(arguments, name) for name in ("keys", "block", "value", "rounds", "seed", "threads", "iavl_cache")}
        print(json.dumps({**run, "sha256": sha256_backend(), "cores": len(os.sched_getaffinity(0)), "load": load}))
        for row in rows:
            print(json.dumps(row))
        return
    what = f"{arguments.block} of {arguments.keys} keys, {arguments.rounds} rounds, ours in {arguments.threads} threads"
    print(f"{what}; medians in ms; load {load:.1f}")
    print(f"{'':20}{'stage':>8}{'(quartiles)':>16}{'save':>8}{'total':>8}   " + "".join(f"{label:>20}" for label in RATIOS))
    for row in rows:
        quartiles = "({:.1f}-{:.1f})".format(*row["stage_quartiles_ms"])
        line = f"{row['side']:20}{row['stage_ms']:8.1f}{quartiles:>16}{row['save_ms']:8.1f}{row['total_ms']:8.1f}   "
        for label in RATIOS:
            line += "{of_medians:.1f} ({in_round:.1f}, {of_bests:.1f})".format(**row[label]).rjust(20) if label in row else ""
        print(line.rstrip())
