"""surroundings.py CASE: an engine on the state "state" where the host is not as one would have it; it says what came of that."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from typing import Any

import psutil

from ioi_exec import Error, ExecutionMachine

MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[platform.machine()]


class Putting:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(tx, b"1")


def forbid(call: int) -> None:
    """The system call fails with EPERM from now on, in this process and those it starts."""
    load, equal, end = (0x20, 0, 0, 0), (0x15, 0, 1, call), 0x06
    lines = [load, equal, (end, 0, 0, 0x00050000 | errno.EPERM), (end, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("H6xP", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def live(path: str, workers: int = 2) -> None:
    with ExecutionMachine.create(path, Putting, workers=workers, pin=False) as machine:
        machine.commit(machine.execute([b"%d" % i for i in range(400)]))
    with ExecutionMachine.open(path, read_only=True) as machine:
        print("version", machine.version)


def give_up_capabilities() -> None:
    """Permissions hold from now on, for root too."""
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    assert ctypes.CDLL(None).capset(header, nothing) == 0


def denied(path: str, name: str, read_only: bool) -> None:
    """Written, then reopened by one who may only read the file of this name."""
    live(path, workers=0)
    os.chmod(os.path.join(path, name), 0o444)
    with ExecutionMachine.open(path, vm=Putting, workers=0, read_only=read_only) as machine:
        print("version", machine.version)


def main(case: str) -> None:
    path = os.path.abspath("state")
    if case == "file size":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        live(path)
    elif case.startswith("memfd"):
        forbid(MEMFD_CREATE)
        if case == "memfd, in memory":
            ExecutionMachine.create(None, Putting, workers=0)
        live(path, workers=int(case[-1]))
    elif case.startswith("address space"):
        limit = psutil.Process().memory_info().vms + (int(case.split()[-3]) << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        live(path, workers=int(case[-1]))
    elif case.startswith("permission"):
        give_up_capabilities()
        denied(path, case.split()[1], case.endswith("read-only"))
    elif case == "path":
        live(os.fsdecode(b"st\xff\xc3\xa4te"))
    elif case == "directory":
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        live(path)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Error as error:
        print(type(error).__name__, error)
