"""Programs that are started and watched, and the ports that are kept for them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ioi_exec.node.children import Bell, Child, Port

STARTS_ONE = """
import signal, sys, time
from pathlib import Path
from ioi_exec.node.children import Child
child = Child([sys.executable, "-c", "import time; time.sleep(1000)"], Path(sys.argv[1]), {})
print(child.pid, flush=True)
time.sleep(1000)
"""


def test_what_it_prints_and_how_it_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import os, sys; print(os.environ['SAID']); sys.stderr.write('and that'); sys.exit(3)"
    child = Child([sys.executable, "-c", code], log, {"SAID": "this"})
    assert child.end(60) == 3 and child.status == 3
    assert sorted(child.last_lines()) == ["and that", "this"] and log.read_text().startswith("before\n")


def test_many_lines_are_shown_from_their_end(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "for number in range(50000): print(number)"], tmp_path / "log", {})
    assert child.end(60) == 0
    assert child.last_lines() == [str(number) for number in range(49980, 50000)]


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"], tmp_path / "log", {})
    assert child.status is None
    child.ask_to_end()
    assert child.end() in (-signal.SIGKILL, -signal.SIGTERM)  # it may not have come to ignoring it


def test_one_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child([tmp_path / "nothing"], tmp_path / "log", {})


def test_it_is_killed_with_whoever_started_it(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTS_ONE, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    try:
        child.wait(60)
    except psutil.TimeoutExpired:
        child.kill()
        raise


def test_a_port_is_for_one_who_reuses_it() -> None:
    held = Port()
    try:
        assert not held.answers()
        with socket.socket() as plain, pytest.raises(OSError):
            plain.bind(("127.0.0.1", held.number))
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", held.number))
            listening.listen()
            assert held.answers()
    finally:
        held.close()


def test_a_bell_that_was_rung_is_heard_later() -> None:
    bell = Bell()
    try:
        assert not bell.wait(0)
        for _ in range(1 + (1 << 17)):  # more than a pipe holds
            bell.ring()
        assert bell.wait(0) and bell.wait(1000)
    finally:
        bell.close()
    with pytest.raises(OSError):
        os.fstat(bell._read)
