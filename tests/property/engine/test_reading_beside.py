"""Threads that read a machine without pause, beside blocks, commits, prunes and a rollback in another: each answer is of one committed
version, and none is older than one before. What a VM puts are as many copies of one number as there are keys, so that a mixture of
versions shows itself."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import effort
import pytest
from ioi_storage import verify
from ioi_storage.latest import moments

from ioi_exec import (
    ExecutionMachine,
    MachineBusy,
    MachineClosed,
    ResourceError,
    StaleResult,
    StateInUse,
    StateView,
    TxContext,
    VersionMissing,
)
from ioi_exec.execution.executors import SharedPools

READS = effort.amount("IOI_READS_BESIDE", sample=150, many=1_500)  # of each thread, at least
THREADS = 3
KEYS = [b"k%02d" % index for index in range(12)]
LONGEST = 400  # blocks, each with a commit, in which all must have come to so many


class Copies:
    """Puts its transaction under every key. Admits what begins with the number that the state has."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        for key in KEYS:
            state.put(key, tx)
        return tx

    def check(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        state.put(b"pending", (state.get(b"pending") or b"") + b"x")
        assert len({state.get(key) for key in KEYS}) == 1, "the state below what is pending is of two versions"

    def query(self, path: str, data: bytes, state: StateView) -> bytes:
        scanned = {value for _, value in state.scan(prefix=b"k")}
        assert scanned == {state.get(key) for key in KEYS}
        (value,) = scanned
        return value


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


class Chain:
    """What was committed, and who reads. values: by root, the number; of a root that is not committed yet too."""

    def __init__(self, machine: ExecutionMachine, rng: random.Random) -> None:
        self.machine = machine
        self.rng = rng
        self.values = {machine.root: b"0"}
        self.era = 0  # odd while it is rolled back
        self.blocks = 0
        self.reads = [0] * THREADS
        self.failed: list[BaseException] = []
        self.over = threading.Event()

    def block(self) -> None:
        self.blocks += 1
        result = self.machine.execute([b"%d" % self.blocks])
        self.values[result.state_root] = b"%d" % self.blocks
        self.machine.commit(result)
        assert self.machine.get(KEYS[0]) == b"%d" % self.blocks, "whoever commits sees it"

    def roll_back(self) -> None:
        self.era += 1
        self.machine.rollback(self.rng.randrange(max(1, self.machine.oldest), self.machine.version + 1))
        self.era += 1

    def read(self, number: int, seed: int) -> None:
        rng = random.Random(seed)
        ways = [getattr(self, name) for name in dir(self) if name.startswith("by_")]
        newest, era = -1, self.era
        try:
            while not self.over.is_set():
                before = self.era
                try:
                    version = rng.choice(ways)()
                except MachineClosed:
                    if not self.machine.closed:
                        raise
                    return
                except (StateInUse, VersionMissing, StaleResult):
                    if before % 2 == 0 and self.era == before:
                        raise
                    continue
                if before % 2 or before != era or self.era != era:  # while it is rolled back it may be read before and after
                    newest, era = -1, before
                elif version is not None:
                    assert version >= newest, f"version {version} after {newest}"
                    newest = version
                self.reads[number] += 1
        except BaseException as error:
            self.failed.append(error)

    def by_get(self) -> None:
        assert self.machine.get(KEYS[3]) is not None

    def by_version(self) -> int:
        return self.machine.version

    def by_scan(self) -> None:
        try:
            assert len({value for _, value in self.machine.scan(prefix=b"k")}) == 1
        except StaleResult:
            if self.machine._store.path is not None:  # in memory a scan ends when the state moves on
                raise

    def by_query(self) -> None:
        assert self.machine.query("", b"").ok

    def by_check(self) -> None:
        assert self.machine.check(b"x").ok

    def by_proof(self) -> None:
        proof, found = self.machine.prove(*KEYS), list(self.values.items())
        assert any(proven(self.machine, root, value, proof) for root, value in reversed(found))

    def by_receipts(self) -> int:
        kept = self.machine.receipts()
        assert [kept.txs[0]] == [receipt.output for receipt in kept.receipts]
        assert all(place.tx == kept.txs[0] for place in self.machine.transaction(sha256(kept.txs[0]).digest()))
        return kept.version

    def by_pinned(self) -> int:
        if self.machine._store.path is None:  # where nothing is pinned
            with self.machine.pinned():
                return self.machine.version
        with self.machine.pinned():
            version, root, value = self.machine.version, self.machine.root, self.machine.get(KEYS[0])
            assert self.values[root] == value and {found for _, found in self.machine.scan(prefix=b"k")} == {value}
            assert (self.machine.info.version, self.machine.info.state_root, self.machine.get(KEYS[5], version)) == (version, root, value)
            assert self.machine.at_height(self.machine.info.height).root == root == self.machine.at(version).root
            assert proven(self.machine, root, value, self.machine.prove(*KEYS))
        return version


def proven(machine: ExecutionMachine, root: bytes, value: bytes, proof: bytes) -> bool:
    try:
        verify.verify_many(root, machine._store.tree, dict.fromkeys(KEYS, value), proof)
    except verify.InvalidProof:
        return False
    return True


def used_slots(machine: ExecutionMachine) -> int:
    """Readers' slots of this process in which a transaction is open."""
    lines: list[str] = machine._store._handle.env.readers().splitlines()[1:]
    return sum(line.split()[0] == str(os.getpid()) and line.split()[-1] != "-" for line in lines if line.strip())


@pytest.mark.sampled
@pytest.mark.parametrize("where, tree, workers", [("disk", "jellyfish", 2), ("disk", "iavl", 0), ("memory", "jellyfish", 2), ("memory", "iavl", 0)])
def test_threads_that_read(where: str, tree: str, workers: int, tmp_path: Path, pools: SharedPools) -> None:
    seed = effort.seed(8)
    rng = random.Random(f"{seed}/{where}/{tree}")
    path = tmp_path / "state" if where == "disk" else None
    genesis = dict.fromkeys(KEYS, b"0")
    descriptors = len(os.listdir("/proc/self/fd"))
    with ExecutionMachine.create(
        path, Copies, tree, genesis, workers=workers, pin=False, executors=pools.executors(), receipts=True, keep=6
    ) as machine:
        chain = Chain(machine, rng)
        chain.block()
        threads = [threading.Thread(target=chain.read, args=(number, rng.random())) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            while min(chain.reads) < READS and not chain.failed and chain.blocks < LONGEST or chain.blocks < 8:
                chain.block()
                if rng.random() < 0.1:
                    machine.prune(rng.randrange(1, 6))
                if rng.random() < 0.1:
                    chain.roll_back()
                    chain.block()
            if rng.random() < 0.5:
                machine.close()  # beside them
        finally:
            chain.over.set()
            for thread in threads:
                thread.join()
        if chain.failed:
            raise AssertionError(f"seed {seed}, {where}, {tree}, {workers} workers") from chain.failed[0]
        if not machine.closed and where == "disk":
            gc.collect()
            chain.block()
            machine._store._view.drop()
            machine._store._moments.drop()
            assert used_slots(machine) == 0
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 4 * (workers + 2), "pools are kept"


def test_scans_and_pins_go_on_in_their_version(tmp_path: Path) -> None:
    with ExecutionMachine.create(tmp_path / "state", Copies, "iavl", dict.fromkeys(KEYS, b"0"), workers=0) as machine:
        chain = Chain(machine, random.Random(1))
        chain.block()
        begun, not_yet = machine.scan(), machine.scan(reverse=True)
        next(begun)
        with machine.pinned():
            inside = machine.scan()
            next(inside)
            for _ in range(3):
                chain.blocks += 1
                machine.commit(machine.execute([b"%d" % chain.blocks]))
            assert {machine.get(key) for key in KEYS} == {b"1"} == {value for _, value in inside} and machine.version == 1
            dangling = machine.scan()
            next(dangling)
            elsewhere: list[Any] = []
            thread = threading.Thread(target=lambda: elsewhere.extend((machine.version, machine.get(KEYS[0]))))
            thread.start()
            thread.join()
            assert elsewhere == [4, b"4"], "what is pinned is the thread's alone"
        with pytest.raises(StaleResult, match="has been left"):
            next(dangling)
        assert machine.version == 4 and {value for _, value in begun} == {b"1"} == {value for _, value in not_yet}
        machine.prune(1)
        assert {value for _, value in machine.scan()} == {b"4"}


def test_a_sandbox_is_for_one_thread() -> None:
    with ExecutionMachine.create(None, Copies, genesis=dict.fromkeys(KEYS, b"0"), workers=0) as machine, machine.sandbox():
        raised: list[BaseException] = []

        def elsewhere() -> None:
            try:
                machine.get(KEYS[0])
            except MachineBusy as error:
                raised.append(error)

        def on_receipt(index: int, receipt: object) -> None:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()

        machine.commit(machine.execute([b"1"], on_receipt=on_receipt))
        assert len(raised) == 1 and machine.get(KEYS[0]) == b"1"


def test_too_many_scans_are_refused_and_given_back(tmp_path: Path) -> None:


    with ExecutionMachine.create(tmp_path / "state", Copies, genesis=dict.fromkeys(KEYS, b"0"), workers=0) as machine:
        scans = [machine.scan() for _ in range(moments.MOST)]
        with pytest.raises(ResourceError, match="at once"):
            machine.version
        scans.pop()
        gc.collect()
        assert machine.version == 0
        scans.clear()
        gc.collect()
        assert used_slots(machine) <= 1 + moments.IDLE


Call = Callable[[ExecutionMachine], object]
CALLS: dict[str, Call] = {
    "get": lambda machine: machine.get(KEYS[0]),
    "version": lambda machine: machine.version,
    "scan": lambda machine: list(machine.scan(limit=2)),
    "query": lambda machine: machine.query("", b""),
    "check": lambda machine: machine.check(b"x"),
    "pinned": lambda machine: pinned(machine),
}


def pinned(machine: ExecutionMachine) -> None:
    with machine.pinned():
        machine.get(KEYS[0])


OURS = ("/machine/reading.py", "/ioi_storage/store.py", "/latest/moments.py", "/ioi_storage/moment.py", "/execution/asking.py")


class Raised(BaseException):
    """As Ctrl-C, by a signal handler: where a function begins, and after any call into C."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a generator that was interrupted as it ended
@pytest.mark.parametrize("where", ["disk", "memory"])
@pytest.mark.parametrize("name", CALLS)
def test_what_is_interrupted_leaves_nothing(name: str, where: str, tmp_path: Path) -> None:
    with ExecutionMachine.create(
        tmp_path / "state" if where == "disk" else None, Copies, genesis=dict.fromkeys(KEYS, b"0"), workers=0
    ) as machine:
        CALLS[name](machine)
        moment = blocks = 0
        while True:
            moment += 1
            left = [moment]

            def look(frame: FrameType, event: str, argument: object, left: list[int] = left) -> None:
                if event in ("call", "c_return") and frame.f_code.co_filename.endswith(OURS):
                    left[0] -= 1
                    if left[0] == 0:
                        raise Raised

            former = sys.getprofile()
            sys.setprofile(look)
            try:
                CALLS[name](machine)
            except Raised:
                pass
            finally:
                sys.setprofile(former)
            if moment % 5 == 0 or left[0] > 0:
                blocks += 1
                machine.commit(machine.execute([b"%d" % blocks]))  # nobody is in its way
                found: list[bytes | None] = []
                thread = threading.Thread(target=lambda found=found: found.append(machine.get(KEYS[0])))
                thread.start()
                thread.join()
                assert found == [b"%d" % blocks]
            if left[0] > 0:
                break
        assert moment > 5
        gc.collect()
        assert sum(seen.is_open for seen in machine._store._moments._all) <= 1
