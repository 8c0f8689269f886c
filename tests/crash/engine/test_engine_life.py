"""The engine interrupted, killed, forked, started from odd threads; its workers must follow it in everything."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import effort
import psutil
import pytest
from faulty_vms import Ledger, Sleeper
from processes import descendants, gone, workers_of

from ioi_exec import (
    ExecutionMachine,
    MachineBusy,
    Receipt,
    Revert,
    StateView,
    TxContext,
)
from ioi_exec.execution.executors import SharedPools

SLOW_VM = """
import time

class Slow:
    def execute(self, tx, state, ctx):
        state.put(b"k%d" % ctx.tx_index, tx)
        if tx != b"fast":
            open("started", "a").close()
            time.sleep(0.2)
        return None
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state whose VM is slow, and two blocks: a fast one and one of many seconds."""
    (tmp_path / "slow_vm.py").write_text(SLOW_VM)
    (tmp_path / "fast.jsonl").write_text(json.dumps({"tx": b"fast".hex()}) + "\n")
    (tmp_path / "slow.jsonl").write_text((json.dumps({"tx": b"slow".hex()}) + "\n") * 600)
    (tmp_path / "genesis.json").write_text('{"state": {}}')
    command = [sys.executable, "-m", "ioi_exec", "init", "state", "--vm", "slow_vm:Slow", "--genesis", "genesis.json"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def started(folder: Path, *blocks: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """`ioi-exec run` in a process group of its own, once it executes the slow block; and all that came from it."""
    command = [sys.executable, "-m", "ioi_exec", "run", "state", *blocks, "--workers", "2", "--json"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (folder / "started").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    assert len(workers_of(process.pid)) == 2
    return process, descendants(process.pid)


def version(folder: Path) -> int:
    command = [sys.executable, "-m", "ioi_exec", "info", "state", "--json"]
    return int(json.loads(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)["version"])


def test_ctrl_c_in_the_middle_of_a_block(state: Path) -> None:
    process, workers = started(state, "fast.jsonl", "slow.jsonl")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert [json.loads(line)["version"] for line in out.splitlines()] == [1]
    assert "Traceback" not in err
    assert gone(workers)
    assert version(state) == 1


def test_ctrl_c_does_not_touch_the_workers(tmp_path: Path) -> None:
    """They are not in the terminal's group, and ignore it if it comes to them all the same."""
    with ExecutionMachine.create(None, Ledger, workers=2, pin=False) as machine:
        machine.execute([b"\1"] * 10)
        workers = workers_of(os.getpid())
        assert all(os.getpgid(worker.pid) != os.getpgid(0) for worker in workers)
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        assert machine.execute([b"\1"] * 10).stats.retries == 0
        assert workers_of(os.getpid()) == workers


def test_interrupted_in_execute_the_machine_goes_on(pools: SharedPools) -> None:
    with ExecutionMachine.create(None, Sleeper, workers=2, pin=False, executors=pools.executors()) as machine:
        machine.execute([b"\1"])
        timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):
            # The first progress is told while it goes on, for it never ends; the first receipt need not be.
            machine.execute([b"\1", b"hang"], on_progress=lambda progress: timer.start() if timer.ident is None else None)
        timer.join()
        result = machine.execute([b"\1", b"\1"])
        machine.commit(result)
        assert machine.version == 1 and result.failed == 0


@pytest.mark.sampled
def test_interrupted_while_workers_start_none_is_lost() -> None:
    """Another thread starts them: it must not go on unobserved."""
    others = workers_of(os.getpid())
    for seed in effort.seeds("IOI_INTERRUPTIONS", sample=6, many=40):
        with ExecutionMachine.create(None, Sleeper, workers=3, pin=False) as machine:
            timer = threading.Timer(random.Random(seed).random() * 0.015, signal.raise_signal, [signal.SIGINT])
            with pytest.raises(KeyboardInterrupt):
                timer.start()
                machine.execute([b"\1"] * 300 + [b"hang"])
            timer.join()
            assert machine.execute([b"\1"] * 3).failed == 0
            assert len(set(workers_of(os.getpid())) - set(others)) == 3, f"seed {seed}"


@pytest.mark.parametrize("number, status", [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 1)])
def test_workers_end_with_a_killed_engine(state: Path, number: int, status: int) -> None:
    process, workers = started(state, "fast.jsonl", "slow.jsonl")
    process.send_signal(number)
    process.communicate(timeout=300)
    assert process.returncode == status
    assert gone(workers)
    assert version(state) == 1


def test_workers_end_with_an_idle_engine(tmp_path: Path) -> None:
    script = (
        "import sys, time; from ioi_exec import ExecutionMachine; from faulty_vms import Ledger\n"
        "machine = ExecutionMachine.create(None, Ledger, workers=2, pin=False); machine.execute([b'\\1'])\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert len(workers_of(process.pid)) == 2
    workers = descendants(process.pid)
    process.kill()
    process.communicate(timeout=300)
    assert gone(workers)


def test_a_machine_started_in_a_thread_that_ends(pools: SharedPools) -> None:
    """PR_SET_PDEATHSIG fires when the thread that started a process ends: that must not be the caller's."""
    made: list[ExecutionMachine] = []

    def start() -> None:
        made.append(ExecutionMachine.create(None, Ledger, workers=2, pin=False, executors=pools.executors()))
        made[0].execute([b"\1"])

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    pids = pools.get(2, False, None).pids
    time.sleep(0.2)
    with made[0] as machine:
        assert machine.execute([b"\1"] * 20).stats.retries == 0
        assert pools.get(2, False, None).pids == pids


def test_a_forked_child_leaves_the_machine_alone() -> None:
    with ExecutionMachine.create(None, Ledger, workers=2, pin=False) as machine:
        expected = machine.execute([b"\1", b"\2"]).state_root
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    machine.execute([b"\1"])
                except MachineBusy:
                    with ExecutionMachine.create(None, Ledger, workers=1, pin=False) as own:
                        status = 0 if own.execute([b"\1", b"\2"]).state_root == expected else 2
                try:
                    machine.close()
                except MachineBusy:
                    pass
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        result = machine.execute([b"\1", b"\2"])
        assert result.state_root == expected and result.stats.retries == 0


def test_on_receipt_that_raises_stages_nothing(pools: SharedPools) -> None:
    class Mine(Exception):
        pass

    with ExecutionMachine.create(None, Ledger, workers=2, pin=False, executors=pools.executors()) as machine:
        for at in (0, 7, 59):
            seen: list[int] = []

            def on_receipt(index: int, receipt: Receipt) -> None:
                seen.append(index)
                if index == at:
                    raise Mine

            with pytest.raises(Mine):
                machine.execute([b"\1\2"] * 60, on_receipt=on_receipt)
            assert seen == list(range(at + 1))
            assert machine.version == 0
        streamed: list[Any] = []
        result = machine.execute([b"\1\2"] * 60, on_receipt=lambda i, receipt: streamed.append((i, receipt, machine.version)))
        assert streamed == [(i, receipt, 0) for i, receipt in enumerate(result.receipts)]


class Wordy:
    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> None:
        raise Revert({b"long": "x" * 5_000, b"wide": "\xe9" * 600, b"odd": "\ud800 and \0"}[tx])


@pytest.mark.parametrize("workers", [0, 2])
def test_error_texts_are_streamed_as_they_are_kept(pools: SharedPools, workers: int) -> None:
    with ExecutionMachine.create(None, Wordy, workers=workers, pin=False, executors=pools.executors()) as machine:
        streamed: list[Receipt] = []
        result = machine.execute([b"long", b"wide", b"odd"], on_receipt=lambda i, receipt: streamed.append(receipt))
        assert streamed == list(result.receipts)
        assert [receipt.error for receipt in streamed] == ["x" * 1024, "\xe9" * 512, "\\ud800 and \0"]


def test_machines_take_turns_on_one_pool(pools: SharedPools, tmp_path: Path) -> None:
    """Of different states, on disk and in memory, each moving on; and a machine that was closed and another in its place."""
    made = [
        ExecutionMachine.create(path, Ledger, genesis={b"k1": genesis}, workers=2, pin=False, executors=pools.executors())
        for path, genesis in ((None, b"1"), (None, b"2"), (tmp_path / "state", b"3"))
    ]
    for turn in range(12):
        for number, machine in enumerate(made):
            txs = [bytes([1, turn % 5]), bytes([2, number])] * 5
            result = machine.execute(txs)
            expected = machine.execute(txs, sequential=True)
            assert result.state_root == expected.state_root and result.receipts == expected.receipts
            machine.commit(result)
        if turn % 4 == 3:
            made[0].close()
            made[0] = ExecutionMachine.create(
                None, Ledger, genesis={b"k1": b"9%d" % turn}, workers=2, pin=False, executors=pools.executors()
            )
    for machine in made:
        machine.close()
