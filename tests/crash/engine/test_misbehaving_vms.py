"""VMs that fail where they read stale values, catch what they should not, loop, or fail as the machine does."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from faulty_vms import Forking, Forks, Invariant, Loops, Phantoms, Raiser, Swallows
from meddling_vm import Meddling
from processes import workers_of
from until import until

from ioi_exec import BlockResult, ExecutionMachine, Limits, VMFault
from ioi_exec.execution.executors import SharedPools

PATIENCE = Limits(stall_seconds=600.0)  # a loop that only this ended would outlast the test


def equal(found: BlockResult, expected: BlockResult) -> bool:
    return found.state_root == expected.state_root and found.receipts == expected.receipts


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long), 4])
@pytest.mark.parametrize("name, error", [
    ("memory", "MemoryError"), ("recursion", "RecursionError"), ("file", "FileNotFoundError"),
    ("import", "ModuleNotFoundError"), ("exit", "SystemExit"),
])
def test_faults_of_the_machine_name_the_lowest_transaction(pools: SharedPools, workers: int, name: str, error: str) -> None:
    with ExecutionMachine.create(None, Raiser, workers=workers, pin=False, executors=pools.executors()) as machine:
        root = machine.root
        txs = [b"fine", b"bug", b"fine", name.encode(), b"fine", b"memory", b"file"]
        with pytest.raises(VMFault, match=f"transaction 3 stopped the block: {error}") as parallel:
            machine.execute(txs)
        with pytest.raises(VMFault, match=f"transaction 3 stopped the block: {error}") as sequential:
            machine.execute(txs, sequential=True)
        assert parallel.value.tx_index == sequential.value.tx_index == 3
        assert error in str(parallel.value.__cause__) and "faulty_vms.py" in str(parallel.value.__cause__)
        assert (machine.version, machine.root) == (0, root)
        fine, bug = machine.execute([b"fine", b"bug"]).receipts
        assert fine.ok and bug.error.startswith("KeyError: ") and "(faulty_vms.py:" in bug.error


def some_met_stale_values(machine: ExecutionMachine, n: int) -> None:
    """Blocks of n transactions that all change two keys, until more than 30 incarnations were aborted."""
    aborts = 0
    for _ in until(lambda: aborts > 30):
        result = machine.execute([b""] * n)
        assert result.failed == 0, result.receipts[:]
        assert dict(result.writes) == {b"left": b"%d" % n, b"right": b"%d" % n}
        aborts += result.stats.aborts


@pytest.mark.parametrize("error", ["assertion", "memory", "os", "exit", "recursion", "_exit"])
def test_what_is_raised_on_stale_reads_alone_never_shows(pools: SharedPools, error: str) -> None:
    options: dict[str, Any] = dict(workers=4, pin=False, executors=pools.executors(), limits=PATIENCE)
    with ExecutionMachine.create(None, Invariant, vm_args={"error": error}, **options) as machine:
        some_met_stale_values(machine, 60)


@pytest.mark.parametrize("way", ["get", "exists", "put", "delete", "scan", "checkpoint"])
def test_loops_on_stale_reads_end(pools: SharedPools, way: str) -> None:
    options: dict[str, Any] = dict(workers=4, pin=False, executors=pools.executors(), limits=PATIENCE)
    with ExecutionMachine.create(None, Loops, vm_args={"way": way}, **options) as machine:
        some_met_stale_values(machine, 60)


def test_loops_on_stale_scans_end(pools: SharedPools) -> None:
    options: dict[str, Any] = dict(workers=4, pin=False, executors=pools.executors(), limits=PATIENCE)
    with ExecutionMachine.create(None, Phantoms, **options) as machine:
        aborts = 0
        for _ in until(lambda: aborts > 0, 10):
            result = machine.execute([b""] * 30)
            assert [receipt.output for receipt in result.receipts] == [b"%d" % i for i in range(30)]
            aborts += result.stats.aborts


def test_loops_without_a_look_at_the_state_are_ended_from_outside(pools: SharedPools) -> None:
    options: dict[str, Any] = dict(workers=4, pin=False, executors=pools.executors(), limits=Limits(stall_seconds=0.3))
    with ExecutionMachine.create(None, Loops, vm_args={"way": "nothing"}, **options) as machine:
        result = machine.execute([b""] * 20)
        assert dict(result.writes) == {b"left": b"20", b"right": b"20"}


def test_a_vm_that_catches_everything(pools: SharedPools) -> None:
    options: dict[str, Any] = dict(workers=3, pin=False, executors=pools.executors(), limits=PATIENCE)
    with ExecutionMachine.create(None, Swallows, **options) as machine:
        for _ in range(3):
            result = machine.execute([b""] * 30)
            assert equal(result, machine.execute([b""] * 30, sequential=True))


@pytest.mark.parametrize("sequential", [False, True])
def test_one_that_forks_and_returns_in_the_child_too_has_one_result(pools: SharedPools, sequential: bool) -> None:
    """The child ends: it must not speak to the engine in its parent's place, of this block or of the next one."""
    others = len(workers_of(os.getpid()))  # of pools that other tests share
    with ExecutionMachine.create(None, Forking, workers=1, pin=False, executors=pools.executors()) as machine:
        expected = machine.execute([b"\1", b"\2"], sequential=sequential)
        assert machine.execute([b"\1", b"fork", b"\2"], sequential=sequential).failed == 0
        deadline = time.monotonic() + 300
        while len(workers_of(os.getpid())) > others + len(machine.worker_pids):
            assert time.monotonic() < deadline, "the child goes on"
            time.sleep(0.01)
        assert equal(machine.execute([b"\1", b"\2"], sequential=sequential), expected)


@pytest.mark.parametrize("workers, sequential", [(0, False), (1, True), (1, False), (3, False)])
def test_one_whose_thread_uses_the_state_too_is_refused_there(pools: SharedPools, workers: int, sequential: bool) -> None:
    """Whatever the transaction is at meanwhile: in three workers many wait inside the state, or are aborted there."""
    txs = [b"raise" if number % 7 == 3 else b"\1\2" if number % 2 else b"\2\1" for number in range(40)]
    with ExecutionMachine.create(None, Meddling, workers=0) as machine:
        expected = machine.execute(txs)
        assert [receipt.error[:10] for receipt in expected.receipts] == ["ValueError" if tx == b"raise" else "" for tx in txs]
        assert all(b":" not in receipt.output for receipt in expected.receipts), expected.receipts[:]
        assert dict(expected.writes).keys() == {b"k1", b"k2"}
    options: dict[str, Any] = dict(workers=workers, pin=False, executors=pools.executors(), limits=PATIENCE)
    with ExecutionMachine.create(None, Meddling, **options) as machine:
        for _ in range(2):
            assert equal(machine.execute(txs, sequential=sequential), expected)


@pytest.mark.parametrize("where, how", [
    ("execute", "returns"), ("execute", "writes"), ("execute", "raises"), ("decode", "returns"), ("keys", "returns"),
    ("end_block", "returns"), ("end_block", "raises"),
])
def test_a_forked_child_that_comes_back_first_is_heard_nowhere(
    pools: SharedPools, where: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its parent is at the transaction all the while, and would find what the child did of the block."""
    with ExecutionMachine.create(None, Forks, vm_args=[where, how], workers=1, pin=False) as machine:
        txs = [b"a", b"fork", b"b"]
        result = machine.execute(txs)
        assert [receipt.output for receipt in result.receipts] == txs and result.stats.retries == 0
        assert dict(result.writes) == {**{tx: tx for tx in txs}, b"end": b"3"}
        one_by_one = machine.execute(txs, sequential=True)
        assert equal(one_by_one, result) and one_by_one.receipts_root == result.receipts_root
    assert capfd.readouterr().err == ""
