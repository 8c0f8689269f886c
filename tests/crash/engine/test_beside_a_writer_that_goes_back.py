"""A reader beside a writer that commits, rolls back, prunes and commits the same numbers again: every answer is wholly of one
committed state, or says that there is none. What is written says which state it is of."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any, Callable, Iterator

import effort
import pytest
from faulty_vms import Stamps
from ioi_storage.verify import verify_many

from ioi_exec import (
    ExecutionMachine,
    Receipt,
    StaleResult,
    StateInUse,
    VersionMissing,
)
from ioi_exec.execution.executors import SharedPools

SEEDS = effort.seeds("IOI_BESIDE_SEEDS", sample=2, many=20)
STEPS = 150
VM: dict[str, Any] = {"vm": "faulty_vms:Stamps"}
WRITER = f"""
import itertools, os, random, sys
from ioi_exec import ExecutionMachine
from ioi_storage.latest import keeper
keeper.LAG_VERSIONS = 3  # so that the latest values are brought up, and what was rolled back is in them
rng = random.Random(int(sys.argv[1]))
with ExecutionMachine.open("state", vm="faulty_vms:Stamps", workers=0) as machine:
    stamps = itertools.count(1)
    for step in range(100 * {STEPS}):
        if step >= {STEPS} and os.path.exists("enough"):
            break
        for stamp in itertools.islice(stamps, rng.randrange(1, 3)):
            result = machine.execute([b"=%d" % stamp])
            print(stamp, result.state_root.hex(), flush=True)  # before it can be read
            machine.commit(result)
        what = rng.random()
        if what < 0.5:
            machine.rollback(rng.randrange(machine.oldest, machine.version + 1))
        elif what < 0.65:
            machine.prune(rng.randrange(1, 4))
"""


@pytest.fixture(params=["jellyfish", "iavl"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    genesis = dict.fromkeys(Stamps.KEYS, b"0")
    ExecutionMachine.create(folder, tree=request.param, genesis=genesis, workers=0, **VM).close()
    return folder


def values(machine: ExecutionMachine) -> set[bytes]:
    return {value for _, value in machine.scan()}


def slowly(rng: random.Random, pairs: Iterator[tuple[bytes, bytes]], machine: ExecutionMachine) -> set[bytes]:
    """With other reads in between, for which another view of the state is taken."""
    found = set()
    for _, value in pairs:
        found.add(value)
        if rng.random() < 0.3:
            machine.get(Stamps.KEYS[0])
    return found


class Onlooker:
    """Ways of looking; each returns the stamps it saw, and the root it was told of, if any."""

    def __init__(self, machine: ExecutionMachine, rng: random.Random) -> None:
        self.machine = machine
        self.rng = rng
        self.past: list[Any] = []

    def scan(self) -> tuple[set[bytes], bytes | None]:
        return slowly(self.rng, self.machine.scan(), self.machine), None

    def pinned(self) -> tuple[set[bytes], bytes | None]:
        with self.machine.pinned():
            return {self.machine.get(key) or b"" for key in Stamps.KEYS}, self.machine.root

    def proof(self) -> tuple[set[bytes], bytes | None]:
        with self.machine.pinned():
            root, tree = self.machine.root, self.machine.info.tree
            value = self.machine.get(Stamps.KEYS[3])
            proof = self.machine.prove(Stamps.KEYS[3])
        verify_many(root, tree, {Stamps.KEYS[3]: value}, proof)
        return {value or b""}, root

    def execute(self) -> tuple[set[bytes], bytes | None]:
        def dawdle(index: int, receipt: Receipt) -> None:
            if self.rng.random() < 0.1:
                time.sleep(self.rng.random() / 10)  # that a whole rollback may happen between two reads

        result = self.machine.execute([b"?%d" % number for number in range(0, 24, 2)] + [b"?"], on_receipt=dawdle)
        return {receipt.output for receipt in result.receipts}, result.state_root

    def sandbox(self) -> tuple[set[bytes], bytes | None]:
        with self.machine.sandbox():
            seen = {self.machine.get(Stamps.KEYS[1]) or b""} | slowly(self.rng, self.machine.scan(), self.machine)
            result = self.machine.execute([b"?"])
            self.machine.commit(result)
            return seen | {result.receipts[0].output} | values(self.machine), self.machine.root

    def keep(self) -> tuple[set[bytes], bytes | None]:
        """A past state to look at later."""
        version = self.rng.randrange(self.machine.oldest, self.machine.version + 1)
        past = self.machine.at(version)
        stamp = past.get(Stamps.KEYS[0])
        self.past.append((past, past.root, stamp))
        return {stamp or b""}, past.root

    def look_back(self) -> tuple[set[bytes], bytes | None]:
        if not self.past:
            return self.keep()
        past, root, stamp = self.rng.choice(self.past)
        try:
            assert past.root == root
            found = {past.get(key) or b"" for key in Stamps.KEYS[:3]} | {stamp}
            tree = past.info.tree
            verify_many(root, tree, {Stamps.KEYS[5]: stamp}, past.prove(Stamps.KEYS[5]))
            if tree == "iavl":
                found |= slowly(self.rng, past.scan(), self.machine)
            return found, root
        except VersionMissing:
            self.past = [kept for kept in self.past if kept[0] is not past]
            raise


@pytest.mark.sampled
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_is_of_one_state(folder: Path, seed: int, workers: int, pools: SharedPools) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", WRITER, str(seed)]
    with (folder.parent / "roots").open("wb") as roots:
        writer = subprocess.Popen(command, cwd=folder.parent, stdout=roots, env=env)
    options: dict[str, Any] = dict(workers=workers, pin=False, executors=pools.executors(), **VM)
    seen: list[tuple[str, bytes, bytes | None]] = []
    try:
        with ExecutionMachine.open(folder, read_only=True, **options) as machine:
            rng = random.Random(seed)
            looks = Onlooker(machine, rng)
            ways: list[Callable[[], tuple[set[bytes], bytes | None]]] = [
                looks.scan, looks.pinned, looks.proof, looks.execute, looks.sandbox, looks.keep, looks.look_back, looks.look_back,
            ]
            genesis_root = machine.info.genesis_root
            for number in count():
                over = writer.poll() is not None
                way = ways[number % len(ways)]
                try:
                    stamps, root = way()
                except (StaleResult, VersionMissing, StateInUse):  # and never StateCorrupt
                    pass
                else:
                    assert len(stamps) == 1, f"{way.__name__} saw {stamps}"
                    seen.append((way.__name__, *stamps, root))
                    if len({stamp for _, stamp, _ in seen}) > 3:
                        (folder.parent / "enough").touch()
                if over and number % len(ways) == 0:
                    break
    finally:
        writer.kill()
        writer.wait()
    assert over and writer.returncode == 0
    lines = [line.split() for line in (folder.parent / "roots").read_text().splitlines()]
    roots_of: dict[bytes, set[bytes]] = {b"0": {genesis_root}}
    for stamp, hexed in lines:
        roots_of.setdefault(stamp.encode(), set()).add(bytes.fromhex(hexed))
    for name, stamp, told in seen:
        if told is not None:
            assert told in roots_of[stamp], (name, stamp)
    assert (folder.parent / "enough").exists(), "hardly anything was seen"
