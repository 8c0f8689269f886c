"""The library as scripts use it: a VM defined in the script itself, workers, nobody left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

SCRIPT = """
    import os
    from ioi_exec import ExecutionMachine, Revert
    from ioi_exec.testing import assert_serializable

    class Counter:  # in __main__, as in a notebook
        def __init__(self, step):
            self.step = step
        def execute(self, tx, state, ctx):
            if tx == b"bad":
                raise Revert("bad")
            count = int(state.get(tx) or b"0") + self.step
            state.put(tx, b"%d" % count)
            return b"%d" % count

    txs = [b"k%d" % (i % 3) for i in range(60)] + [b"bad"]
    with ExecutionMachine.create(None, Counter, vm_args={"step": 2}, workers=2) as machine:
        result = machine.execute(txs)
        machine.commit(result)
        print(machine.get(b"k0"), machine.get(b"k2"), result.failed)
    with ExecutionMachine.create("state", Counter(5), workers=2) as machine:
        machine.commit(machine.execute(txs))
    with ExecutionMachine.open("state", vm=Counter(5), workers=1) as machine:
        machine.commit(machine.execute(txs))
        print(machine.get(b"k1"), machine.version)
    assert_serializable(Counter(1), None, txs)
    END
"""


def run(tmp_path: Path, end: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT).replace("END", end))
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    out, err = process.communicate(timeout=120)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_vm_of_the_script_itself(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["b'40' b'40' 1", "b'200' 2"]


def test_a_machine_that_nobody_closes_leaves_nobody_behind(tmp_path: Path) -> None:
    end = "left = ExecutionMachine.create(None, Counter, vm_args=[1], workers=2); left.execute(txs); print(*left.worker_pids)"
    done = run(tmp_path, end)
    assert done.returncode == 0, done.stderr
    for pid in map(int, done.stdout.splitlines()[-1].split()):
        deadline = time.monotonic() + 300  # they end with their parent, and are given the time to
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(pid)


def test_a_state_opened_twice_in_one_process_is_in_use(tmp_path: Path) -> None:
    code = """
        import ioi_exec
        from ioi_exec import ExecutionMachine
        with ExecutionMachine.create("state", workers=0):
            for read_only in (False, True):
                try:
                    ExecutionMachine.open("state", read_only=read_only, workers=0)
                except ioi_exec.StateInUse:
                    print("in use")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "in use\nin use\n", done.stderr
