"""execute(..., record=True): what happened, and what was read and written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest

from ioi_exec import (
    BlockResult,
    EventKind,
    ExecutionMachine,
    InputError,
    Record,
    StateView,
    TxContext,
)
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

Machine = Callable[..., ExecutionMachine]
KEYS = [b"a", b"b", b"c"]


class Touch:
    """A transaction names the keys it reads, "/", and those it writes. It sleeps in between, so that transactions overlap."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        reads, _, writes = tx.partition(b"/")
        seen = [state.get(reads[i : i + 1]) or b"" for i in range(len(reads))]
        time.sleep(0.0003)
        for i in range(len(writes)):
            state.put(writes[i : i + 1], b"%d after %d" % (ctx.tx_index, hash(tuple(seen)) % 1000))


class Sweep(Touch):
    """An empty transaction deletes all keys that there are; so does the end of the block, before it writes `end`."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        if tx:
            super().execute(tx, state, ctx)
        else:
            for key, _ in list(state.scan(end=b"z")):
                state.delete(key)

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        self.execute(b"", state, ctx)
        state.put(b"end", b"")


class Mortal(Touch):
    """Ends its worker as often as the file says, one byte a time."""

    def __init__(self, lives: str) -> None:
        self.lives = lives

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        left = os.path.getsize(self.lives)
        if ctx.tx_index == 5 and left:
            os.truncate(self.lives, left - 1)
            os._exit(1)
        super().execute(tx, state, ctx)


@pytest.fixture
def machine(ioi_pools: Any) -> Iterator[Machine]:
    made: list[ExecutionMachine] = []

    def make(vm: Any = Touch, workers: int = 3, **options: Any) -> ExecutionMachine:
        settings = {"pin": False, "executors": ioi_pools.executors(), **options}
        made.append(ExecutionMachine.create(None, vm, workers=workers, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def record_of(result: BlockResult) -> Record:
    assert result.record is not None
    return result.record


def of_kind(record: Record, kind: EventKind, result: int | None = None) -> Any:
    events = record.events[record.events["kind"] == kind]
    return events if result is None else events[events["result"] == result]


def check(result: BlockResult) -> Record:
    """What every record tells must agree with the block's own figures, and with itself."""
    record, stats, n = record_of(result), result.stats, len(result.receipts)
    events = record.events
    assert (record.transactions, record.workers) == (n, stats.workers)
    assert set(events["kind"].tolist()) <= set(EventKind) and (events["start"] <= events["end"]).all()
    assert (np.diff(events["start"].astype(np.int64)) >= 0).all()
    executed = of_kind(record, EventKind.EXECUTE, 1)
    assert (executed["tx"] < n).sum() == stats.executions
    assert len(of_kind(record, EventKind.VALIDATE)) == stats.validations
    assert len(of_kind(record, EventKind.ABORT)) == stats.aborts <= len(of_kind(record, EventKind.VALIDATE, 0))
    assert len(of_kind(record, EventKind.SUSPEND)) == stats.suspensions
    assert stats.mode != "solo" or stats.workers == 1 or len(of_kind(record, EventKind.SOLO))
    for kind in (EventKind.ABORT, EventKind.COMMIT):
        assert (of_kind(record, kind)["start"] == of_kind(record, kind)["end"]).all()
    aborts = np.bincount(of_kind(record, EventKind.ABORT)["tx"], minlength=n + 1)
    assert (np.bincount(executed["tx"], minlength=n + 1)[:n] == aborts[:n] + 1).all(), "one incarnation more than were aborted"
    risen = of_kind(record, EventKind.COMMIT)["tx"].astype(np.int64)
    assert (np.diff(risen) > 0).all() and (n == 0 or risen[-1] == n)
    for worker in range(record.workers):
        open_ends: list[int] = []
        for start, end in events[events["worker"] == worker][["start", "end"]].tolist():
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            assert not open_ends or end <= open_ends[-1], "spans of a worker follow each other or lie inside each other"
            open_ends.append(end)
    return record


def test_conflicts_are_told_with_their_causes(machine: Machine) -> None:
    block = [b"%s/%s" % (KEYS[i % 3] + KEYS[(i * i + 1) % 3], KEYS[i % 3]) for i in range(60)]
    many = machine()
    met = {kind: 0 for kind in (EventKind.ABORT, EventKind.SUSPEND, EventKind.FETCH)}
    for _ in range(20):
        result = many.execute(block, record=True)
        record = check(result)
        for kind in met:
            met[kind] += len(of_kind(record, kind))
        for event in record.events:
            fell = event["kind"] == EventKind.VALIDATE and not event["result"]
            if not fell and event["kind"] not in (EventKind.ABORT, EventKind.SUSPEND):
                continue
            key, tx, other = record.keys[event["key"]], event["tx"], event["other"]
            assert -1 <= other < tx and key in block[tx].partition(b"/")[0], "what did not stand was read"
            assert other < 0 or key in block[other].partition(b"/")[2], "and written by the other"
            if other >= 0:
                executed = of_kind(record, EventKind.EXECUTE, 1)
                of_writer = executed[(executed["tx"] == other) & (executed["incarnation"] == event["other_incarnation"])]
                assert len(of_writer) == 1 and of_writer["start"][0] < event["end"], "which had executed, or was publishing"
        if all(met.values()):
            break
    assert all(met.values()), met


def test_reads_and_writes(machine: Machine) -> None:
    genesis = {b"b": b"genesis", b"z": b"out of reach"}
    record = check(machine(Sweep, genesis=genesis).execute([b"ab/a", b"a/bc", b"", b"bq/b"], record=True))
    keys = record.keys
    assert keys == [b"a", b"b", b"c", b"end", b"q"]
    assert [(tx, keys[key], writer) for tx, key, writer in record.reads[["tx", "key", "writer"]].tolist()] == [
        (0, b"a", -1), (0, b"b", -1),
        (1, b"a", 0),
        (2, b"a", 0), (2, b"b", 1), (2, b"c", 1),
        (3, b"b", 2), (3, b"q", -1),
        (4, b"a", 2), (4, b"b", 3), (4, b"c", 2),
    ]  # fmt: skip
    assert [(tx, keys[key], deleted) for tx, key, deleted in record.writes[["tx", "key", "deleted"]].tolist()] == [
        (0, b"a", False), (1, b"b", False), (1, b"c", False), (2, b"a", True), (2, b"b", True), (2, b"c", True), (3, b"b", False),
        (4, b"b", True), (4, b"end", False),
    ]  # fmt: skip
    executed = of_kind(record, EventKind.EXECUTE, 1)
    assert (executed["tx"] == 4).sum() == 1, "end_block is executed once, as the transaction behind the last"


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_native_payments(machine: Machine, workers: int) -> None:
    names = [bytes([i]) * 32 for i in range(6)]
    genesis = {account_key(name): encode_account(1000, 0) for name in names}
    block = [encode_transfer(names[i % 5], names[5], 1, nonce=i // 5) for i in range(500)]
    result = machine("payments", workers, genesis=genesis).execute(block, record=True)
    record = check(result)
    assert record.keys == sorted(genesis) and len(record.reads) == len(record.writes) == 1000
    paid = record.reads[record.reads["key"] == 5]
    assert paid["added"].all() and (paid["writer"] == -1).all(), "who is paid is added to"
    assert record.reads[record.reads["key"] == 0]["writer"].tolist() == [-1, *range(0, 495, 5)]
    fetched = of_kind(record, EventKind.FETCH)
    assert len(fetched) and set(fetched["key"].tolist()) <= set(range(-1, 6))


def test_a_chain(machine: Machine) -> None:
    """Conflicts without end: where one worker ran alone, that is told."""
    names = [i.to_bytes(32, "big") for i in range(2000)]
    genesis = {account_key(names[0]): encode_account(10**6, 0)}
    block = [encode_transfer(names[i], names[i + 1], 10**5, nonce=0) for i in range(1999)]
    many = machine("payments", 2, genesis=genesis)
    for _ in range(5):
        record = check(many.execute(block, record=True))
        solo = of_kind(record, EventKind.SOLO)
        assert (solo["other"] >= solo["tx"]).all()
        assert record.reads[record.reads["writer"] >= 0]["writer"].tolist() == list(range(1998))


def test_recording_is_asked_for(machine: Machine) -> None:
    two = machine(workers=2)
    plain, recorded = two.execute([b"a/b", b"b/a"]), two.execute([b"a/b", b"b/a"], record=True)
    assert plain.record is None and check(recorded) is recorded.record
    assert "record" in recorded.stats.seconds and "record" not in plain.stats.seconds
    assert plain.state_root == recorded.state_root and plain.writes == recorded.writes
    assert two.execute([b"a/b"]).record is None, "and once only"
    empty = check(two.execute([], record=True))
    assert len(empty.reads) == len(empty.writes) == len(empty.keys) == 0
    for where, options in ((two, {"sequential": True}), (machine(workers=0), {})):
        with pytest.raises(InputError, match="workers=1 or more"):
            where.execute([], record=True, **options)


def test_in_a_sandbox(machine: Machine) -> None:
    two = machine(workers=2)
    with two.sandbox():
        two.commit(two.execute([b"/a", b"/b"]))
        record = check(two.execute([b"ab/", b"a/a", b"a/"], record=True))
    assert record.reads.tolist() == [(0, 0, -1, False), (0, 1, -1, False), (1, 0, -1, False), (2, 0, 1, False)]


@pytest.mark.parametrize("deaths", [1, 2])
def test_after_deaths_it_is_the_record_of_the_run_that_counted(tmp_path: Path, machine: Machine, deaths: int) -> None:
    lives = tmp_path / "lives"
    lives.write_bytes(b"x" * deaths)
    result = machine(Mortal, 2, vm_args={"lives": str(lives)}).execute([b"a/a"] * 10, record=True)
    assert result.stats.retries == deaths
    record = check(result)
    assert record.workers == (1 if deaths == 2 else 2)
    assert record.reads["writer"].tolist() == list(range(-1, 9))


def test_numpy_is_imported_for_records_alone() -> None:
    script = (
        "import sys; from ioi_exec import ExecutionMachine\n"
        "with ExecutionMachine.create(None, workers=1) as m:\n"
        "    assert m.execute([]).record is None and 'numpy' not in sys.modules\n"
        "    assert m.execute([], record=True).record is not None and 'numpy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


class Hungry:
    """Computes until others have had its core for 20 ms, and says for how long they had it; b"sleep" only sleeps."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        began, computed = time.perf_counter_ns(), time.thread_time_ns()

        def missed() -> int:
            return time.perf_counter_ns() - began - (time.thread_time_ns() - computed)

        if tx == b"sleep":
            time.sleep(0.002)
            return b""
        while missed() < 20_000_000 and time.thread_time_ns() - computed < 5_000_000_000:
            pass
        return b"%d" % missed()


def test_what_passed_and_was_not_computed_is_told(machine: Machine) -> None:
    """Two processes on one core take turns. Preempted: what the VM missed itself, no more than what it did not compute."""
    core = min(os.sched_getaffinity(0))
    spins = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile os.getppid() == {os.getpid()}: pass"
    ours = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", spins], stdout=subprocess.PIPE) as spinner:
        try:
            assert spinner.stdout is not None and spinner.stdout.readline()
            os.sched_setaffinity(0, {core})
            many = machine(Hungry, workers=2, executors=None)
            result = many.execute([b"sleep", b"compute", b"sleep", b"compute"], record=True)
        finally:
            os.sched_setaffinity(0, ours)
            spinner.kill()
    record = check(result)
    preempted = of_kind(record, EventKind.PREEMPTED)
    for tx, receipt in enumerate(result.receipts):
        (execution,) = of_kind(record, EventKind.EXECUTE)[of_kind(record, EventKind.EXECUTE)["tx"] == tx]
        within = preempted[(preempted["worker"] == execution["worker"]) & (preempted["start"] >= execution["start"])]
        within = within[within["end"] <= execution["end"]]
        told = int((within["end"] - within["start"]).sum())
        if receipt.output:
            assert 0.9 * int(receipt.output) <= told <= int(execution["end"] - execution["start"]), tx
        else:
            assert told == 0, "who sleeps gives the core away"


def test_reads_of_what_the_cache_has_are_in_the_record(machine: Machine) -> None:
    """It is found in the cache from the second block on, what is absent too."""
    one = machine(Touch, genesis={b"a": b"1"}, workers=1)
    seen = []
    for _ in range(3):
        record = check(one.execute([b"ab/c", b"a/"], record=True))
        seen.append([(int(row["tx"]), record.keys[row["key"]]) for row in record.reads])
    assert seen[0] == seen[1] == seen[2] and sorted(seen[0]) == [(0, b"a"), (0, b"b"), (1, b"a")]


class Count:
    """A transaction is words: a number is added to the counter; `get`, `exists` and `scan` look at it, `put` makes it 100."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        return b"".join(b"%d" % self.do(word, state) for word in tx.decode().split())

    @staticmethod
    def do(word: str, state: StateView) -> bool:
        if word == "get":
            return state.get(b"k") is not None
        if word == "exists":
            return state.exists(b"k")
        if word == "scan":
            return bool(list(state.scan(prefix=b"k")))
        if word == "put":
            state.put(b"k", (100).to_bytes(8, "big"))
            return True
        if word == "delete":
            state.delete(b"k")
            return True
        return state.add(b"k", int(word), width=8)


@pytest.mark.parametrize(
    ("block", "reads", "writes"),
    [
        ("1,1,-1,1", "0 1 2<1 3", "0 1 2 3"),
        ("1,5,get,1,scan,-1", "0 1 2:1 3 4:3 5<3", "0 1 3 5"),
        ("put,1,exists,-3,-100,-200", "1<0 2:1 3<0 4<3 5<0", "0! 1 3"),
        ("1,2,-3,-3,-1,delete,1", "0 1 2<1 3 4 6<5", "0 1 2 5! 6"),
        ("2,get 1,1 get,1", "0 1:0 2:1 3<1", "0 1! 2 3"),
        ("3,-1,-1,2,-1", "0 1<0 2<0 3 4<0", "0 1 2 3 4"),
    ],
)
def test_adds(machine: Machine, block: str, reads: str, writes: str) -> None:
    """reads: who added to the counter, <w needing what w left; and t:w, who read it. writes: who wrote it; ! without adding."""
    record = check(machine(Count, workers=2).execute(block.encode().split(b","), record=True))
    said = [f"{tx}" + ("" if writer < 0 else f"<{writer}") if added else f"{tx}:{writer}" for tx, _, writer, added in record.reads.tolist()]
    assert " ".join(said) == reads
    assert " ".join(f"{tx}" + "!" * (not added) for tx, _, _, added in record.writes.tolist()) == writes


def test_adds_to_what_is_committed_need_nobody(machine: Machine) -> None:
    """Also where the cache has it."""
    two = machine(Count, workers=2, genesis={b"k": (1000).to_bytes(8, "big")})
    for _ in range(3):
        record = check(two.execute([b"1", b"-1", b"-900"] * 20, record=True))
        assert record.reads["added"].all() and record.writes["added"].all()
        alone = record.reads["writer"] < 0
        assert alone[:3].all() and len(alone) == 60
        two.commit(two.execute([b"1"]))
