"""Compiles the shim (shim/shim.h says what it does) and reads what it records."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple, Optional

HERE = Path(__file__).resolve().parent
_HEAD = struct.Struct("<BBHHHQQQQQ")


class Record(NamedTuple):
    """As shim.h has it."""

    kind: str
    flag: int
    file: int
    directory: int
    directory2: int
    offset: int
    name: str
    name2: str
    data: bytes


@lru_cache(maxsize=None)
def library() -> Optional[str]:
    """The compiled shim; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    directory = mkdtemp(prefix="ioi-shim-")
    atexit.register(shutil.rmtree, directory)
    out = os.path.join(directory, "shim.so")
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", out, HERE / "shim" / "shim.c", "-ldl"], check=True)
    return out


def environment(root: Path, log: Optional[Path] = None, fault: Optional[str] = None) -> dict[str, str]:
    """Of a process to be preloaded with the shim."""
    made = {**os.environ, "LD_PRELOAD": library() or "", "SHIM_ROOT": os.path.realpath(root)}
    if log is not None:
        made["SHIM_LOG"] = str(log)
    if fault is not None:
        made["SHIM_FAULT"] = fault
    return made


def run(script: str, *arguments: object, env: dict[str, str], timeout: float = 600) -> str:
    """Standard output of one of the scripts here, run to its end under the shim."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def read_log(path: Path) -> Iterator[Record]:
    data, at = path.read_bytes(), 0
    while at < len(data):
        kind, flag, size, size2, _, file, directory, directory2, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        name, name2 = data[at : at + size].decode(), data[at + size : at + size + size2].decode()
        at += size + size2
        body = data[at : at + length] if kind == ord("W") else b""
        at += len(body)
        yield Record(chr(kind), flag, file, directory, directory2, offset, name, name2, body)
    assert at == len(data), "the log is cut off"


def mark(text: str) -> None:
    """Adds a record of kind M to the log of this process."""
    name = text.encode()
    fd = os.open(os.environ["SHIM_LOG"], os.O_WRONLY | os.O_APPEND)
    os.write(fd, _HEAD.pack(ord("M"), 0, len(name), 0, 0, 0, 0, 0, 0, 0) + name)
    os.close(fd)


class Shim:
    """The shim in this process, which must have been started with it."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(None)

    def arm(self, fault: Optional[str]) -> None:
        assert self._library.shim_arm(None if fault is None else fault.encode()) == 0, fault

    def calls(self) -> int:
        return int(self._library.shim_calls())
