"""execute(sequential=True) of a VM in Python: in a worker of its own, through its deaths, with nothing of the calling process."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from faulty_vms import Killer, Ledger, Sleeper
from processes import alive, descendants
from until import until

from ioi_exec import ExecutionMachine, Limits, Progress, Receipt, Revert, StateView, TxContext, VMFault
from ioi_exec.execution.executors import SharedPools


def options(pools: SharedPools, workers: int = 2) -> dict[str, Any]:
    return dict(workers=workers, pin=False, executors=pools.executors())


class Where:
    """Says in which process it is."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        if tx == b"no":
            raise Revert("told to")
        state.put(b"n", b"%d" % (int(state.get(b"n") or b"0") + sum(1 for _ in state.scan(prefix=b"g"))))
        return open("/proc/self/comm").read().encode() + b"%d" % os.getpid()


def test_only_without_workers_it_is_the_calling_process(pools: SharedPools) -> None:
    found = {}
    for workers in (0, 1, 2):
        with ExecutionMachine.create(None, Where, **options(pools, workers)) as machine:
            result = machine.execute([b"a", b"no"], sequential=True)
            found[workers] = result.receipts[0].output
            assert (result.stats.mode, result.stats.workers) == ("sequential", min(workers, 1))
            assert result.receipts[1].error == "told to" and len(result.per_tx) == 2
            if workers:
                assert found[workers] == b"ioi-sequential\n%d" % machine.worker_pids[0]
    assert found[0].endswith(b"\n%d" % os.getpid())


def test_callbacks_are_the_callers_in_order_and_once(pools: SharedPools) -> None:
    class Slow(Where):
        def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
            time.sleep(0.002)
            return b"%d" % ctx.tx_index

    with ExecutionMachine.create(None, Slow, **options(pools)) as machine:
        streamed: list[tuple[int, Receipt]] = []
        progress: list[Progress] = []
        threads: set[int] = set()

        def on_receipt(index: int, receipt: Receipt) -> None:
            streamed.append((index, receipt))
            threads.add(threading.get_ident())

        result = machine.execute([b""] * 100, on_receipt=on_receipt, on_progress=progress.append, sequential=True)
        assert streamed == list(enumerate(result.receipts)) and threads == {threading.get_ident()}
        marks = [each.watermark for each in progress]
        assert marks == sorted(marks) and marks[-1] == 100 and len(marks) > 1

        def failing(index: int, receipt: Receipt) -> None:
            raise KeyError(index)

        with pytest.raises(KeyError):
            machine.execute([b""] * 10, on_receipt=failing, sequential=True)
        assert machine.execute([b""] * 3, sequential=True).failed == 0


def test_on_what_lies_over_the_state_too(pools: SharedPools, tmp_path: Path) -> None:
    """Writes that lag behind the flat table, and those of sandboxes, in scans as in lookups."""
    genesis = {b"g%d" % i: b"1" for i in range(9)}
    with ExecutionMachine.create(tmp_path / "state", Ledger, genesis=genesis, **options(pools)) as machine:
        for turn in range(4):
            txs = [bytes([turn, i % 5]) for i in range(20)]
            one, other = machine.execute(txs), machine.execute(txs, sequential=True)
            assert (one.state_root, one.receipts, one.writes) == (other.state_root, other.receipts, other.writes)
            with machine.sandbox():
                machine.commit(machine.execute(txs))
                assert machine.execute(txs).state_root == machine.execute(txs, sequential=True).state_root
            machine.commit(other)


def test_killed_at_random_moments(pools: SharedPools) -> None:
    hits = 0
    with ExecutionMachine.create(None, Ledger, **options(pools)) as machine:
        for seed in until(lambda: hits > 0, 12):
            rng = random.Random(seed)
            txs = [bytes(rng.randrange(6) for _ in range(2)) for _ in range(400)]
            expected = machine.execute(txs)
            machine.execute([b"\1"], sequential=True)
            (victim,) = (child for child in descendants(os.getpid()) if child.name() == "ioi-sequential")
            timer = threading.Timer(rng.random() * 0.02, victim.send_signal, [signal.SIGKILL])
            timer.start()
            streamed: list[tuple[int, Receipt]] = []
            result = machine.execute(txs, on_receipt=lambda i, receipt: streamed.append((i, receipt)), sequential=True)
            timer.join()
            assert result.state_root == expected.state_root, f"seed {seed}"
            assert streamed == list(enumerate(expected.receipts)), f"seed {seed}"
            hits += result.stats.retries
            psutil.wait_procs([victim], timeout=300)


@pytest.mark.parametrize("status", [0, 9])
def test_a_transaction_that_ends_its_process_is_named(pools: SharedPools, status: int) -> None:
    with ExecutionMachine.create(None, Killer, vm_args={"status": status}, **options(pools)) as machine:
        with pytest.raises(VMFault, match="transaction 5 ended every worker.*one by one.*Nothing was staged") as caught:
            machine.execute([b"\1"] * 5 + [b"kill"] + [b"\2"] * 5, sequential=True)
        assert caught.value.tx_index == 5
        assert machine.execute([b"\1", b"\2"], sequential=True).failed == 0


def test_a_transaction_that_hangs_is_named(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Sleeper, limits=Limits(stall_seconds=0.1), **options(pools)) as machine:
        with pytest.raises(VMFault, match="transaction 2") as caught:
            machine.execute([b"\1", b"\2", b"hang", b"\3"], sequential=True)
        assert caught.value.tx_index == 2
        assert machine.execute([b"\1", b"\2"], sequential=True).failed == 0


def test_ctrl_c_leaves_nothing_and_the_machine_goes_on(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Sleeper, **options(pools)) as machine:
        machine.execute([b"\1"], sequential=True)
        (pid,) = machine.worker_pids
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])

        def interrupt(progress: Progress) -> None:
            if progress.watermark == 1 and timer.ident is None:  # it is at the one that hangs; a receipt may wait for more
                timer.start()

        with pytest.raises(KeyboardInterrupt):
            machine.execute([b"\1", b"hang"], on_progress=interrupt, sequential=True)
        timer.join()
        assert not alive(pid) and machine.worker_pids == ()
        assert machine.execute([b"\1", b"\2"], sequential=True).failed == 0


def test_machines_in_two_threads_start_their_workers_at_once() -> None:
    roots: list[bytes] = []

    def one() -> None:
        with ExecutionMachine.create(None, Ledger, workers=2, pin=False) as machine:
            for _ in range(3):
                result = machine.execute([b"\1\2"] * 30)
                assert result.state_root == machine.execute([b"\1\2"] * 30, sequential=True).state_root
                machine.commit(result)
            roots.append(machine.root)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(roots) == 4 and len(set(roots)) == 1
