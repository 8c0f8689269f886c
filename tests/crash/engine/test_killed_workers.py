"""Workers killed and stopped in the middle of blocks: the same results, nothing left behind, the guilty named."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import effort
import psutil
import pytest
from faulty_vms import Killer, Ledger, Mortal, Sleeper, Slow
from processes import alive, descendants
from until import until

from ioi_exec import (
    BlockHeader,
    BlockResult,
    ExecutionMachine,
    Limits,
    Receipt,
    ResourceError,
    VMFault,
)
from ioi_exec.execution.executors import SharedPools
from ioi_exec.execution.workers.pool import Pool
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

KILLED_BLOCKS = effort.amount("IOI_KILLED_BLOCKS", sample=8, many=60)


def random_txs(rng: random.Random, n: int, keys: int = 6) -> list[bytes]:
    return [bytes(rng.randrange(keys) for _ in range(rng.choice((1, 2, 3)))) for _ in range(n)]


class Assassin:
    """Sends signals to random workers of a pool, at random moments, while a block runs."""

    def __init__(self, pool: Pool, rng: random.Random, number: int, times: int, within: float) -> None:
        self._pool = pool
        self._rng = rng
        self._number = number
        self._moments = sorted(rng.random() * within for _ in range(times))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        for moment in self._moments:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            processes = list(self._pool._processes)
            if processes:
                victim = self._rng.choice(processes)
                victim.send_signal(self._number)  # by its pidfd: never to another process


def results(machine: ExecutionMachine, txs: list[bytes]) -> tuple[BlockResult, list[tuple[int, Receipt]]]:
    streamed: list[tuple[int, Receipt]] = []
    return machine.execute(txs, on_receipt=lambda i, receipt: streamed.append((i, receipt))), streamed


def equal(found: BlockResult, expected: BlockResult) -> bool:
    return (found.state_root, found.receipts_root, found.writes) == (
        expected.state_root, expected.receipts_root, expected.writes,
    ) and found.receipts == expected.receipts


@pytest.mark.sampled
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_killed_at_random_moments(pools: SharedPools, workers: int) -> None:
    retries = 0
    with ExecutionMachine.create(None, Ledger, workers=workers, pin=False, executors=pools.executors()) as machine:
        pool = pools.get(workers, False, None)
        for block in until(lambda: retries > 0, KILLED_BLOCKS):
            seed = f"{effort.seed(1)} {workers} {block}"
            rng = random.Random(seed)
            txs = random_txs(rng, 60)
            expected = machine.execute(txs, sequential=True)
            with Assassin(pool, rng, signal.SIGKILL, rng.choice((1, 1, 2, 3)), 0.03):
                result, streamed = results(machine, txs)
            assert equal(result, expected), f"seed {seed}"
            assert streamed == list(enumerate(expected.receipts)), f"seed {seed}: in order, each once, across retries"
            machine.commit(result)
            retries += result.stats.retries


@pytest.mark.sampled
def test_native_payments_on_disk_survive_it(pools: SharedPools, tmp_path: Path) -> None:
    accounts = [i.to_bytes(32, "big") for i in range(50)]
    genesis = {account_key(account): encode_account(10**9) for account in accounts}
    nonces = [0] * len(accounts)
    retries = 0
    options: dict[str, Any] = dict(workers=3, pin=False, executors=pools.executors())
    with ExecutionMachine.create(tmp_path / "state", "payments", genesis=genesis, **options) as machine:
        for block in until(lambda: retries > 0, KILLED_BLOCKS):
            rng = random.Random(f"payments {effort.seed(1)} {block}")
            txs = []
            for _ in range(10_000):
                sender = rng.randrange(50)
                txs.append(encode_transfer(accounts[sender], rng.choice(accounts), 1, fee=1, nonce=nonces[sender]))
                nonces[sender] += 1
            header = BlockHeader(proposer=accounts[3])
            expected = machine.execute(txs, header, sequential=True)
            with Assassin(pools.get(3, False, None), rng, signal.SIGKILL, 1, 0.008):
                result = machine.execute(txs, header)
            assert equal(result, expected) and result.failed == 0, f"block {block}"
            machine.commit(result)
            retries += result.stats.retries


@pytest.mark.parametrize("workers", [1, 3])
def test_stopped_workers_are_given_up(pools: SharedPools, workers: int) -> None:
    retries = 0
    options: dict[str, Any] = dict(workers=workers, pin=False, executors=pools.executors(), limits=Limits(stall_seconds=0.2))
    with ExecutionMachine.create(None, Ledger, **options) as machine:
        pool = pools.get(workers, False, None)
        machine.execute([b"\1\2"] * 9)  # processes that are still starting get more patience
        for block in until(lambda: retries > 0, 6):
            seed = f"stop {workers} {block}"
            rng = random.Random(seed)
            txs = random_txs(rng, 60)
            expected = machine.execute(txs, sequential=True)
            with Assassin(pool, rng, signal.SIGSTOP, 1, 0.01 / workers):
                result, streamed = results(machine, txs)
            assert equal(result, expected) and streamed == list(enumerate(expected.receipts)), f"seed {seed}"
            retries += result.stats.retries


def test_killed_between_blocks(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Ledger, workers=2, pin=False, executors=pools.executors()) as machine:
        expected = machine.execute([b"\1\2", b"\2\1"])
        for process in pools.get(2, False, None)._processes:
            process.kill()
            assert process.ended(30)
        result = machine.execute([b"\1\2", b"\2\1"])
        assert equal(result, expected) and result.stats.mode == "parallel"


def test_a_monitor_sees_which_workers_there_are() -> None:
    with ExecutionMachine.create(None, Ledger, workers=2, pin=False) as machine:
        assert machine.worker_pids == ()
        machine.execute([b"\1"], sequential=True)
        (alone,) = machine.worker_pids
        seen: set[tuple[int, ...]] = set()
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.001):
                seen.add(machine.worker_pids)

        monitor = threading.Thread(target=look)
        monitor.start()
        for _ in range(2):
            machine.execute([b"\1\2"] * 100)
            assert machine.worker_pids in seen
            pids = tuple(pid for pid in machine.worker_pids if pid != alone)
            assert len(pids) == 2
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            while any(map(alive, pids)):
                time.sleep(0.001)
        over.set()
        monitor.join()
        machine.execute([b"\1"])
        assert set(machine.worker_pids).isdisjoint(pids) and alone in machine.worker_pids


def test_the_dead_hold_no_read_transaction(pools: SharedPools, tmp_path: Path) -> None:
    """Each would keep old pages of the state in use, and one of LMDB's places for readers taken."""
    with ExecutionMachine.create(tmp_path / "state", Ledger, workers=3, pin=False, executors=pools.executors()) as machine:
        for block in range(6):
            rng = random.Random(block)
            with Assassin(pools.get(3, False, None), rng, signal.SIGKILL, 3, 0.02):
                result = machine.execute(random_txs(rng, 60))
            machine.commit(result)
            machine.execute([b"\1"] * 3)
        readers: str = machine._store._handle.env.readers()
        pids = {int(line.split()[0]) for line in readers.splitlines()[1:]}
        assert pids <= {os.getpid(), *pools.get(3, False, None).pids}, readers


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long), 4])
@pytest.mark.parametrize("status", [0, 9])
def test_a_transaction_that_ends_its_process_is_named(pools: SharedPools, workers: int, status: int) -> None:
    vm_args = {"status": status}
    with ExecutionMachine.create(None, Killer, vm_args=vm_args, workers=workers, pin=False, executors=pools.executors()) as machine:
        root = machine.root
        streamed: list[int] = []
        with pytest.raises(VMFault, match="transaction 5 ended every worker.*Nothing was staged") as caught:
            machine.execute([b"\1"] * 5 + [b"kill"] + [b"\2"] * 5, on_receipt=lambda i, receipt: streamed.append(i))
        assert caught.value.tx_index == 5
        assert streamed == list(range(len(streamed))) and len(streamed) <= 5
        assert (machine.version, machine.root) == (0, root)
        assert machine.execute([b"\1", b"\2"]).failed == 0


@pytest.mark.parametrize("times, mode", [(1, "parallel"), (2, "sequential"), (3, "sequential")])
def test_a_transaction_that_ends_its_process_a_few_times_is_done_at_last(
    pools: SharedPools, tmp_path: Path, times: int, mode: str
) -> None:
    marker = tmp_path / "marker"
    txs = [b"\1"] * 5 + [b"kill"] + [b"\2"] * 5
    with ExecutionMachine.create(
        None, Killer, vm_args={"marker": str(marker), "times": times}, workers=2, pin=False, executors=pools.executors()
    ) as machine:
        result, streamed = results(machine, txs)
        assert marker.read_text() == "x" * times
        assert (result.stats.retries, result.stats.mode) == (times, mode)
        assert equal(result, machine.execute(txs, sequential=True)) and streamed == list(enumerate(result.receipts))
        assert machine.execute([b"\1"] * 9).stats.mode == "parallel"


def test_a_transaction_that_hangs_is_named(pools: SharedPools) -> None:
    options: dict[str, Any] = dict(workers=2, pin=False, executors=pools.executors(), limits=Limits(stall_seconds=0.3))
    with ExecutionMachine.create(None, Sleeper, **options) as machine:
        for sequential in (False, True):
            with pytest.raises(VMFault, match="transaction 3 hangs: alone in a worker it did not end within 6 seconds") as caught:
                machine.execute([b"\1", b"\2", b"\3", b"hang", b"\1", b"\2"], sequential=sequential)
            assert caught.value.tx_index == 3
        assert machine.execute([b"\1", b"\2"]).failed == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_transaction_that_takes_long_is_done_all_the_same(pools: SharedPools, workers: int) -> None:
    options: dict[str, Any] = dict(workers=workers, pin=False, executors=pools.executors(), limits=Limits(stall_seconds=1.0))
    with ExecutionMachine.create(None, Slow, **options) as machine:
        machine.execute([b"\1"] * 4)
        result, streamed = results(machine, [b"\1", b"slow", b"\2", b"slow", b"\1"])
        assert (result.failed, result.stats.mode, result.stats.retries) == (0, "sequential", 1)
        assert streamed == list(enumerate(result.receipts))
        expected = machine.execute([b"\1", b"slow", b"\2", b"slow", b"\1"], sequential=True)
        assert equal(result, expected) and expected.stats.retries == 0
        assert machine.execute([b"\1"] * 9).stats.mode == "parallel"


@pytest.mark.parametrize("times, mode", [(1, "parallel"), (2, "sequential"), (3, "sequential")])
def test_a_worker_that_was_stopped_is_no_slow_transaction(
    pools: SharedPools, tmp_path: Path, times: int, mode: str
) -> None:
    """It is given up after stall_seconds, also when the block runs one by one, where a slow one has twenty times as long."""
    (tmp_path / "stopped").write_text(str(times))
    options: dict[str, Any] = dict(workers=2, pin=False, executors=pools.executors(), limits=Limits(stall_seconds=0.5))
    with ExecutionMachine.create(None, Slow, vm_args={"stopped": str(tmp_path / "stopped")}, **options) as machine:
        machine.execute([b"\1"] * 4)
        result = machine.execute([b"\1", b"slow", b"\2"])
        assert (result.failed, result.stats.mode, result.stats.retries) == (0, mode, times)


@pytest.mark.parametrize("workers, sequential", [(1, False), (3, False), (1, True)])
def test_workers_that_live_for_three_transactions_end_a_block_all_the_same(
    pools: SharedPools, tmp_path: Path, workers: int, sequential: bool
) -> None:
    """In one process after the other: each goes on from where the last one was, however far it got."""
    mortal = tmp_path / "mortal"
    txs = [bytes((i % 5, i % 3)) for i in range(30)]
    options: dict[str, Any] = dict(workers=workers, pin=False, executors=pools.executors(), vm_args={"mortal": str(mortal)})
    with ExecutionMachine.create(None, Mortal, genesis={b"k0": b"5"}, **options) as machine:
        expected = machine.execute(txs, sequential=True)
        mortal.touch()
        streamed: list[tuple[int, Receipt]] = []
        result = machine.execute(txs, on_receipt=lambda i, receipt: streamed.append((i, receipt)), sequential=sequential)
        assert equal(result, expected) and streamed == list(enumerate(expected.receipts))
        assert result.stats.mode == "sequential" and result.stats.retries > 7
        with pytest.raises(VMFault, match="transaction 20 ended every worker that executed it.*look also for what kills them") as caught:
            machine.execute([*txs[:20], b"kill", *txs[20:]], sequential=sequential)
        assert caught.value.tx_index == 20
        mortal.unlink()
        assert machine.execute(txs).stats.mode == "parallel"


@pytest.mark.parametrize("vm", [Ledger, "payments"])
def test_workers_that_never_start_are_no_transactions_fault(monkeypatch: pytest.MonkeyPatch, vm: Any) -> None:
    """They die before they take any part in a block, which is executed one by one."""
    started: list[int] = []
    start = Pool._start_processes

    def doomed(self: Pool) -> None:
        started.append(1)
        start(self)
        for process in self._processes:
            process.kill()

    monkeypatch.setattr(Pool, "_start_processes", doomed)
    txs = [b"\1", b"\2"] if vm is Ledger else [encode_transfer(b"\1" * 32, b"\2" * 32, 1, nonce=0)] * 1000
    with ExecutionMachine.create(None, vm, workers=2, pin=False) as machine:
        result, streamed = results(machine, txs)
        assert equal(result, machine.execute(txs, sequential=True)) and streamed == list(enumerate(result.receipts))
    assert len(started) == result.stats.retries == 7


@pytest.mark.parametrize("sequential", [False, True])
def test_where_no_thread_can_be_had_it_is_said_and_works_when_there_is_one(monkeypatch: pytest.MonkeyPatch, sequential: bool) -> None:
    from ioi_exec.execution.workers import starting

    monkeypatch.setattr(starting, "_starter", starting._Starter())
    with ExecutionMachine.create(None, Ledger, workers=1, pin=False) as machine:
        with monkeypatch.context() as scarce:
            scarce.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
            with pytest.raises(ResourceError, match="can't start new thread.*Free memory, processes or descriptors"):
                machine.execute([b"\1", b"\2"], sequential=sequential)
        assert machine.execute([b"\1", b"\2"], sequential=sequential).failed == 0


def test_a_root_that_never_starts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from ioi_exec.execution.workers import starting

    roots: dict[int, starting.Root] = {}
    monkeypatch.setattr(starting, "_roots", roots)
    monkeypatch.setattr(starting, "_BOOT", "import os; os._exit(1)")
    monkeypatch.setattr("ioi_exec.execution.one_by_one.executor.GIVE_UP_SECONDS", 0.0)
    with ExecutionMachine.create(None, Ledger, workers=2, pin=False) as machine:
        for sequential in (False, True):
            with pytest.raises(ResourceError, match="died 17 times in .* s while no transaction was running"):
                machine.execute([b"\1", b"\2"], sequential=sequential)
    assert len(roots) == 1


@pytest.mark.parametrize("name", ["ioi-root", "ioi-template"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_workers_are_forked_from_may_die_at_any_moment(
    monkeypatch: pytest.MonkeyPatch, pools: SharedPools, name: str, number: signal.Signals
) -> None:
    """Every worker dies with it, which is no transaction's doing; what comes in its place has the same code. Stopped, it is only
    missed when another worker is wanted."""
    from ioi_exec.execution.workers import starting

    monkeypatch.setattr(starting, "CHANNEL_SECONDS", 2.0)
    monkeypatch.setattr(starting, "START_SECONDS", 5.0)
    monkeypatch.setattr(starting, "_roots", {})  # a root of this test's own
    rng = random.Random(name)
    with ExecutionMachine.create(None, Ledger, workers=2, pin=False, executors=pools.executors()) as machine:
        machine.execute([b"\1"])
        for _ in range(4):
            txs = random_txs(rng, 60)
            expected = machine.execute(txs, sequential=True)
            (root,) = starting._roots.values()
            assert root._server is not None
            family = [psutil.Process(root._server.process.pid), *descendants(root._server.process.pid)]
            (victim,) = (process for process in family if process.name() == name)
            with Shot(victim, rng.random() * 0.01, number):
                result, streamed = results(machine, txs)
            assert equal(result, expected) and streamed == list(enumerate(expected.receipts))
            assert result.stats.mode == "parallel"
            if number == signal.SIGSTOP:
                pools.get(2, False, None).kill()
                assert equal(machine.execute(txs), expected)
    for root in starting._roots.values():
        if root._server is not None:
            root._server.close()


class Shot:
    """A signal to one process, a moment after the block began."""

    def __init__(self, victim: psutil.Process, seconds: float, number: signal.Signals) -> None:
        self._timer = threading.Timer(seconds, victim.send_signal, [number])

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *exception: object) -> None:
        self._timer.join()
