"""A power cut at any moment, on a disk that loses and tears what was not synced (disk.py): the state is one committed
version, none that was acknowledged is lost, `check --deep` finds nothing, and one can go on with it.

A recorded life of a state is played again; states are made of what may be on the disk between any two calls, and judged.
IOI_STORAGE_CRASHES sets how many; failures print the seed."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import effort
import pytest
import shimmed
from disk import PAGE, SECTOR, Disk, lay_out
from until import until

CRASHES = effort.amount("IOI_STORAGE_CRASHES", sample=300, many=4000)
A_LIFE = 2000  # crashes of one recorded life
TREES = ["iavl", "jellyfish"]
META = (32, PAGE + 32)  # where LMDB writes what says which pages count

pytestmark = pytest.mark.skipif(shimmed.library() is None, reason="needs a C compiler")


class Problem(NamedTuple):
    place: int  # in the log
    what: list[str]


class Judges:
    """Processes that judge states; the next one gets the next state."""

    def __init__(self, source: Path, count: int = 2) -> None:
        self._source = source
        self._running: list[Optional[subprocess.Popen[str]]] = [None] * count
        self._waiting: list[Optional[Any]] = [None] * count
        self._turn = 0
        self.answers: list[tuple[Any, list[str]]] = []

    def give(self, about: Any, task: dict[str, Any]) -> None:
        turn = self._turn = (self._turn + 1) % len(self._running)
        self._take(turn)
        process = self._running[turn]
        if process is None:
            command = [sys.executable, str(shimmed.HERE / "judge.py"), str(self._source)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._running[turn] = process
        assert process.stdin is not None
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        self._waiting[turn] = about, task["directory"]

    def _take(self, turn: int) -> None:
        waiting, process = self._waiting[turn], self._running[turn]
        if waiting is None:
            return
        about, directory = waiting
        assert process is not None and process.stdout is not None
        line = process.stdout.readline()
        if not line:
            line = json.dumps([f"whoever read it crashed: {process.wait()}"])
            self._running[turn] = None
        self.answers.append((about, json.loads(line)))
        shutil.rmtree(directory)
        self._waiting[turn] = None

    def end(self) -> None:
        for turn in range(len(self._running)):
            self._take(turn)
            process = self._running[turn]
            if process is not None:
                process.communicate()


class Expectation:
    """What may be there, by the marks so far. What was begun last is known to be begun before anything of it is written,
    so that all that is there is either of the description before it or of its own."""

    def __init__(self) -> None:
        self.allowed: dict[str, list[Any]] = {}
        self.kept: list[int] = []

    def apply(self, mark: dict[str, Any]) -> None:
        if "kept" in mark:
            self.kept.append(mark["kept"])
        elif "begin" in mark:
            self.allowed.setdefault(mark["path"], [None]).append(mark["begin"])
        else:
            self.allowed[mark["path"]] = [mark["end"]]


def record(
    directory: Path,
    seed: int,
    tree: str,
    sabotage: Optional[str] = None,
    fault: Optional[str] = None,
    workload: str = "crash_workload.py",
) -> int:
    """The inode number of the directory that was recorded; beside it `log` and `source`."""
    root, source, log = directory / "root", directory / "source", directory / "log"
    for made in (root, source):
        made.mkdir(parents=True)
    arguments = [root, source, seed, tree, *([sabotage] if sabotage else [])]
    shimmed.run(workload, *arguments, env=shimmed.environment(root, log, fault))
    return root.stat().st_ino


def played(records: list[shimmed.Record], there: Disk, rng: random.Random) -> Iterator[tuple[shimmed.Record, int]]:
    """Each record, and how much is not synced after it."""
    for record in records:
        if record.kind != "M":
            there.apply(record, rng)
        yield record, there.unsynced


def upkeep_transactions(records: list[shimmed.Record]) -> int:
    """How often the meta page of the first state was written without a sync once it was there: the store does not do that."""
    made = next(place for place, record in enumerate(records) if record.kind == "M" and '"end"' in record.name)
    file = next(record.file for record in records if record.kind == "W")
    return sum(
        record.file == file and not record.flag and record.offset in META and len(record.data) < SECTOR
        for record in records[made:]
        if record.kind == "W"
    )


def replay(directory: Path, root: int, seed: int, crashes: int) -> tuple[int, list[Problem]]:
    """How many different states were judged, and what was wrong with them."""
    rng = random.Random(seed)
    records = list(shimmed.read_log(directory / "log"))
    unsynced = [count for _, count in played(records, Disk(root), rng)]
    chance = crashes / max(1, sum(map(bool, unsynced)))
    there, expectation, judges, seen = Disk(root), Expectation(), Judges(directory / "source"), set()
    try:
        for place, (entry, count) in enumerate(played(records, there, rng)):
            if entry.kind == "M":
                expectation.apply(json.loads(entry.name))
            for _ in range(int(chance) + (rng.random() < chance % 1) if count else 1):
                image = there.crash(rng)
                key = hash((json.dumps(expectation.allowed), len(expectation.kept), *image.items()))
                if key in seen:
                    continue
                seen.add(key)
                here = directory / str(len(seen))
                here.mkdir()
                lay_out(image, here)
                for name in expectation.allowed:
                    if (here / name).is_dir() and rng.random() < 0.5:  # means nothing, and may hold anything
                        (here / name / "lock.mdb").write_bytes(rng.randbytes(rng.choice([0, 100, 20000])))
                task = {"directory": str(here), "expected": expectation.allowed, "kept": expectation.kept}
                judges.give(place, {**task, "on": rng.random() < 0.25})
    finally:
        judges.end()
    return len(judges.answers), [Problem(place, what) for place, what in judges.answers if what]


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is one."""
    shared = Path("/dev/shm")
    made = (shared if os.access(shared, os.W_OK) else tmp_path) / f"ioi-replay-{os.getpid()}"
    made.mkdir()
    yield made
    shutil.rmtree(made)


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
def test_no_power_cut_loses_anything(scratch: Path, tree: str) -> None:
    first = effort.seed(1) * effort.APART
    each = CRASHES // len(TREES)
    judged, tried = 0, 0
    for seed in range(first, first + 10**6):
        if tried >= each:
            break
        crashes = min(each, A_LIFE)
        directory = scratch / str(seed)
        root = record(directory, seed, tree)
        records = list(shimmed.read_log(directory / "log"))
        assert upkeep_transactions(records) > 2, "the upkeep process had nothing to do"
        count, problems = replay(directory, root, seed, crashes)
        assert not problems, f"{len(problems)} of {count} states of the life with seed {seed}, first of them: {problems[:3]}"
        judged, tried = judged + count, tried + crashes
        shutil.rmtree(directory)
        print(f"{judged} different states after {tried} power cuts, seeds from {first}", flush=True)
    assert judged > each / 3


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
def test_nor_on_a_disk_that_was_full(scratch: Path, tree: str) -> None:
    """A sync fails, the store or the upkeep process goes on, and what that sync should have written may never be."""
    rng = random.Random(f"full {effort.seed(1)}")
    lives = 0
    for number in until(lambda: lives >= max(1, CRASHES // 4000)):
        seed, fault = rng.randrange(2**32), f"sync:{rng.randint(8, 80)}:ENOSPC"
        directory = scratch / str(number)
        root = record(directory, seed, tree, fault=fault)
        lives += any(entry.kind == "S" and entry.flag for entry in shimmed.read_log(directory / "log"))  # of a life that was so long
        count, problems = replay(directory, root, seed, min(CRASHES // 4, 1000))
        assert not problems, f"{len(problems)} of {count} states of the life with seed {seed}, {fault}: {problems[:3]}"
        shutil.rmtree(directory)


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
def test_nor_when_a_state_comes_to_be_on_a_full_disk(scratch: Path, tree: str) -> None:
    """Each sync of a beginning fails once, of few crashes only each so manieth."""
    rng = random.Random(f"beginning {effort.seed(1)}")
    seed, step, beginnings, tried = rng.randrange(2**32), max(1, 4000 // CRASHES), 0, 0
    for number in itertools.count(rng.randint(1, step), step):
        directory = scratch / str(number)
        fault = f"sync:{number}:ENOSPC"
        root = record(directory, seed, tree, fault=fault, workload="beginning_workload.py")
        if not any(entry.kind == "S" and entry.flag for entry in shimmed.read_log(directory / "log")):
            break
        judged, problems = replay(directory, root, seed, max(40, CRASHES // 20))
        assert not problems, f"{len(problems)} of {judged} states of the beginning with seed {seed}, {fault}: {problems[:3]}"
        shutil.rmtree(directory)
        beginnings, tried = beginnings + 1, tried + judged
    assert number > 15 and tried > 10 * beginnings > 0, (number, beginnings, tried)


@pytest.mark.parametrize("sabotage", ["sync", "metasync", "directory"])
def test_what_a_careless_store_loses_is_found(scratch: Path, sabotage: str) -> None:
    root = record(scratch, 1, "jellyfish", sabotage)
    count, problems = replay(scratch, root, 1, 150)
    assert len(problems) > 3, count


def test_what_a_lying_disk_loses_is_found(scratch: Path) -> None:
    root = record(scratch, 1, "jellyfish", fault="sync:1+:lie")
    count, problems = replay(scratch, root, 1, 150)
    assert len(problems) > 3, count
