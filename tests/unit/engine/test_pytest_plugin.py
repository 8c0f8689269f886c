"""The fixture `ioi`, in pytest runs of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEST = '''
from ioi_exec import ExecutionMachine

class Put:
    def execute(self, tx, state, ctx):
        state.put(b"k", tx)
        return state.get(b"g")

class Other(Put):
    pass

made = []

def test_machine(ioi):
    machine = ioi(vm=Put, genesis={b"g": b"1"})
    other = ioi(Put, initial_height=7)
    assert machine.workers == other.workers == ioi.workers
    assert machine.execute([b"x"]).receipts[0].output == b"1"
    assert other.execute([b"x"]).height == 7 and other.execute([b"x"]).receipts[0].output == b""
    made.append(machine)

def test_again(ioi, ioi_pools):
    assert made[-1].closed
    assert ioi()._executors._pools is ioi(Put)._executors._pools is ioi_pools
    with ioi(Put) as first, ioi(Other, {b"g": b"2"}) as second:
        assert second.execute([b"y"]).receipts[0].output == b"2"
        assert first.execute([b"y"]).receipts[0].output == b""
        if ioi.workers:
            of_first, of_second = (machine._executors._made[ioi.workers, False] for machine in (first, second))
            assert of_first.pool is of_second.pool
    first.close()
'''
CHAIN = '''
class Put:
    def execute(self, tx, state, ctx):
        state.put(b"k", tx)
        return state.get(b"g")

made = []

def test_chain(ioi_chain, ioi_pools):
    chain = ioi_chain(vm=Put, genesis={b"g": b"1"})
    before = chain.snapshot()
    assert chain.send(b"x").output == b"1" and chain.get(b"k") == b"x"
    assert chain.submit(b"y").ok and chain.mine(2) == 3 and chain.get(b"k") == b"y"
    assert chain.simulate(b"z").receipts[0].ok and chain.get(b"k") == b"y"
    assert chain.revert(before) == 0 and chain.get(b"k") is None
    other = ioi_chain(Put)
    other.send(b"x")
    assert other.block().header.time_ns == 1_700_000_000 * 10**9
    made.append(chain.machine)

def test_the_chain_is_closed(ioi_chain):
    assert made[-1].closed
'''


def run(folder: Path, *arguments: str, ini: str = "", test: str = TEST) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    (folder / "test_it.py").write_text(test)
    plugin = [] if _installed() else ["-p", "ioi_exec.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *plugin, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def _installed() -> bool:
    from importlib.metadata import entry_points

    return any(entry.value == "ioi_exec.pytest_plugin" for entry in entry_points(group="pytest11"))


@pytest.mark.parametrize("arguments, ini", [(["--ioi-workers=0"], ""), ([], "ioi_workers = 0"), (["--ioi-workers", "0,0"], "ioi_workers = 7")])
def test_a_machine_in_a_test(tmp_path: Path, arguments: list[str], ini: str) -> None:
    done = run(tmp_path, *arguments, ini=ini)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_machine[workers=0] PASSED" in done.stdout and "2 passed" in done.stdout


def test_workers_are_shared_and_leave_nobody_behind(tmp_path: Path) -> None:
    done = run(tmp_path, "--ioi-workers=0,1,2")
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout + done.stderr


def test_a_chain_in_a_test(tmp_path: Path) -> None:
    done = run(tmp_path, test=CHAIN)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_by_default_0_1_and_4_workers(tmp_path: Path) -> None:
    done = run(tmp_path, "--collect-only", "-q")
    for workers in (0, 1, 4):
        assert f"test_machine[workers={workers}]" in done.stdout
    assert "6 tests collected" in done.stdout


def test_the_ini_takes_several_counts(tmp_path: Path) -> None:
    assert "4 tests collected" in run(tmp_path, "--collect-only", "-q", ini="ioi_workers = 0 3").stdout


@pytest.mark.parametrize("wrong", ["", "x", "-1", "1;2"])
def test_wrong_counts_are_a_usage_error(tmp_path: Path, wrong: str) -> None:
    done = run(tmp_path, f"--ioi-workers={wrong}")
    assert done.returncode not in (0, 1) and "worker counts" in done.stdout + done.stderr


def test_a_pytest_run_that_does_not_use_it_does_not_load_the_engine(tmp_path: Path) -> None:
    code = "import sys, ioi_exec.pytest_plugin; sys.exit('ioi_exec.machine' in sys.modules or 'lmdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
