"""Readers in other PID namespaces, whose process numbers may be the engine's and its workers': they never stop it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from namespaced import Putting

from ioi_exec import ExecutionMachine

PROGRAM = str(Path(__file__).with_name("namespaced.py"))
ELSEWHERE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _allowed() -> bool:
    try:
        return subprocess.run([*ELSEWHERE, "true"], capture_output=True, timeout=300).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not _allowed(), reason="no PID namespace may be made here")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    ExecutionMachine.create(tmp_path / "state", Putting, genesis={b"k": b"v"}).close()
    return tmp_path / "state"


def command(what: str, state: Path) -> list[str]:
    return [*ELSEWHERE, sys.executable, PROGRAM, what, str(state)]


def engine(state: Path) -> str:
    done = subprocess.run(command("engine", state), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_that_comes_later_is_refused_by_name(state: Path) -> None:
    with ExecutionMachine.open(state, vm=Putting, workers=1, pin=False) as machine:
        done = subprocess.run(
            [*ELSEWHERE, sys.executable, "-m", "ioi_exec", "get", str(state), "6b"], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 3 and "is written by a process in the PID namespace pid:[" in done.stderr, done.stderr
        assert subprocess.run([sys.executable, "-m", "ioi_exec", "get", str(state), "6b"], capture_output=True).stdout == b"76\n"
        machine.commit(machine.execute([b"%d" % i for i in range(400)]))
    done = subprocess.run([*ELSEWHERE, sys.executable, "-m", "ioi_exec", "get", str(state), "6b"], capture_output=True, timeout=120)
    assert done.stdout == b"76\n", "nobody writes any more"


def test_one_that_was_there_with_the_engines_number_leaves(state: Path) -> None:
    with subprocess.Popen(command("reader", state), stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "reading\n"
        assert engine(state) == "committed 3 b'v'\n"
        assert reader.stdout.read().startswith(f"StateInUse the state at {state} is written by a process in the PID namespace pid:[")


def test_those_with_its_workers_numbers_are_stepped_round(state: Path) -> None:
    with subprocess.Popen(command("readers", state), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as readers:
        assert readers.stdin is not None and readers.stdout is not None and readers.stdout.readline() == "reading\n"
        assert engine(state) == "committed 3 b'v'\n"
        readers.kill()
