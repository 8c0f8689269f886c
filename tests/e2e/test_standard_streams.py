"""Standard streams that are closed, full or not there; files that are none; and how a command says so."""

from __future__ import annotations

import errno
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

A = "aa" * 32
Cli = Callable[..., Any]


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> Path:
    accounts = ", ".join(f'"{i:064x}": {{"balance": 7}}' for i in range(2000))
    (tmp_path / "genesis.json").write_text(f'{{"accounts": {{{accounts}}}}}')
    cli("init", "state", "--genesis", "genesis.json")
    return tmp_path / "state"


def shell(tmp_path: Path, line: str) -> tuple[int, str, str]:
    command = line.replace("ioi-exec", f"{sys.executable} -m ioi_exec")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "line, status, error",
    [
        ("ioi-exec info state >&-", 2, "ioi-exec: standard output: Bad file descriptor\n"),
        ("ioi-exec check state >&-", 2, "ioi-exec: standard output: Bad file descriptor\n"),
        ("ioi-exec dump state >/dev/full", 4, "ioi-exec: standard output: No space left on device\n"),
        ("ioi-exec run --help >/dev/full", 4, "ioi-exec: standard output: No space left on device\n"),
        ("ioi-exec --version >&-", 2, "ioi-exec: standard output: Bad file descriptor\n"),
        ("ioi-exec check state >/dev/null 2>&- <&-", 0, ""),
        ("ioi-exec dump state >/dev/null 2>&-", 0, ""),
        ("ioi-exec run state - <&-", 2, "ioi-exec: standard input: Bad file descriptor\n"),  # no empty block
        ("ioi-exec load new - <&-", 2, "ioi-exec: standard input: Bad file descriptor\n"),
        (f"ioi-exec verify - --root {A} --tree iavl </dev/null", 2, "ioi-exec: standard input: it is not JSON: Expecting value at column 1\n"),
        ("ioi-exec dump state -o nowhere/x", 2, "ioi-exec: nowhere/x: No such file or directory\n"),
        ("ioi-exec dump state -o .", 2, "ioi-exec: .: Is a directory\n"),
    ],
)
def test_closed_full_or_missing(state: Path, tmp_path: Path, line: str, status: int, error: str) -> None:
    assert shell(tmp_path, line) == (status, "", error)
    assert sorted(os.listdir(tmp_path)) == ["genesis.json", "state"]


@pytest.mark.parametrize("blocks", [0, 8])
@pytest.mark.parametrize("line, named", [
    ("ioi-exec dump state -o dump", "dump: File too large: this process may write no file of more than {} bytes (ulimit -f)"),
    ("ioi-exec dump state >out", "standard output: File too large: this process may write no file of more than {} bytes (ulimit -f)"),
    ("ioi-exec snapshot state snap", "creating a snapshot at .*/snap, where this process may write no file of more than {} bytes (ulimit -f)"),
])
def test_a_limit_of_file_size(state: Path, tmp_path: Path, blocks: int, line: str, named: str) -> None:
    """Named, and nothing is left that could be taken for whole: but for what the shell made, which says itself that it is not."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({blocks * 512},) * 2); from ioi_exec.cli import main; raise SystemExit(main())"
    status, out, err = shell(tmp_path, line.replace("ioi-exec", f"{sys.executable} -c '{limited}'"))
    assert (status, out) == (4, ""), err
    assert re.search(re.escape(named.format(blocks * 512)).replace(re.escape(".*"), ".*"), err), err
    assert sorted({*os.listdir(tmp_path)} - {"out"}) == ["genesis.json", "state"]
    if ">out" in line:
        assert shell(tmp_path, "ioi-exec load new out")[0] == 2
        assert not (tmp_path / "new").exists()


def test_what_is_no_plain_file_is_not_replaced(cli: Cli, state: Path, tmp_path: Path) -> None:
    dumped = cli("dump", "state").out
    os.mkfifo(tmp_path / "pipe")
    assert shell(tmp_path, "cat pipe & ioi-exec dump state -o pipe; wait") == (0, dumped, "")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("target")
    for name in ("link", "target"):  # made through a link, and then replaced through it
        cli("dump", "state", "-o", name)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == dumped
    assert shell(tmp_path, "ioi-exec dump state -o -") == (0, dumped, "")
    assert shell(tmp_path, "ioi-exec dump state -o /dev/stdout | cat") == (0, dumped, "")


def all_of(terminal: int) -> str:
    """What was written to a terminal that nobody writes to any more; one read gives what has come through so far."""
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError as error:
        assert error.errno == errno.EIO
    return shown.decode()


def test_progress_is_for_terminals(state: Path, tmp_path: Path) -> None:
    """Standard error has nothing but messages, unless somebody watches; a finding has a line of its own."""
    # A second passes between two looks at the clock, so that no line is left out for coming too soon.
    command = [sys.executable, "-c", "import itertools, subprocess, time; time.monotonic = itertools.count(1.0).__next__; "
               "from ioi_exec.cli import main; main()", "check", str(state)]
    quiet = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert quiet.stderr == "" and quiet.stdout.startswith("ok: ")
    ours, theirs = pty.openpty()
    watched = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=300)
    os.close(theirs)
    shown = all_of(ours)
    os.close(ours)
    assert watched.stdout == quiet.stdout
    assert "keys of the newest version" in shown and shown.endswith("\r\x1b[K")
