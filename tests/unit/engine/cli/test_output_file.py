"""Files that commands write: whole and durable, or as they were; what others left beside them is in nobody's way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ioi_exec.cli import main
from ioi_exec.cli.streams import output_file
from ioi_exec.machine import ExecutionMachine
from ioi_exec.vm.payments import account_key, encode_account

COMMANDS = [["dump", "state"], ["prove", "state", "aa", "--format", "ics23"]]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ExecutionMachine.create("state", genesis={account_key(b"a" * 32): encode_account(7, 0)}, workers=0).close()


def test_a_leftover_of_one_with_the_same_number_stays_and_does_no_harm(tmp_path: Path) -> None:
    """In a container a process has the same number each time."""
    left = tmp_path / f"out.{os.getpid()}.part"
    left.write_text("another's")
    with output_file("out") as out:
        out.write("mine")
    assert (Path("out").read_text(), left.read_text()) == ("mine", "another's")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_durable_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    fsync, synced = os.fsync, []

    def recorded(fd: int) -> None:
        fsync(fd)
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))

    monkeypatch.setattr(os, "fsync", recorded)
    assert main([*command, "-o", "out"]) == 0
    assert [os.path.basename(name)[:4] for name in synced] == ["out.", tmp_path.name[:4]] and synced[1] == str(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("out").write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    assert main([*command, "-o", "out"]) == 4
    assert Path("out").read_text() == "before" and sorted(os.listdir()) == ["out", "state"]
