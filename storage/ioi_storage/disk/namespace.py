"""PID namespaces: who writes a state says in which one, and readers from another keep away.

LMDB knows the readers of a file by their process numbers and locks a byte for each. In containers these are of different
namespaces, so two processes may have one number: the second to read is refused, were it the writer or one of its workers. The
writer therefore locks, as long as it is there, the byte of the file LOCK whose place is its namespace's number.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable
from typing import Optional, TypeVar

import lmdb

from ..errors import NumberTaken, StateInUse
from .descriptors import opened

# struct flock: type, whence, start, length, pid (0 for these locks).
_FLOCK = struct.Struct("@hhqqi4x")
PATIENCE = 5.0  # seconds for a reader with this process's number to see that a writer is here
_LOOK = 0.05
T = TypeVar("T")


def own() -> Optional[int]:
    """The number of this process's PID namespace; None where the system does not say."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def mark(lock: int) -> None:
    """lock: the descriptor of LOCK, for as long as which this holds."""
    namespace = own()
    if namespace is not None:
        try:
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, namespace, 1, 0))
        except OSError:
            pass  # a file system without: a collision of numbers is met where it happens


def refuse_foreign(lock_file: str, shown: str) -> None:
    """StateInUse if who writes the state is in another namespace. lock_file: of the state; shown: what errors call the state."""
    try:
        with opened(lock_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 1, 0, 0))
    except OSError:
        return  # nobody has ever written here
    kind, _, theirs, _, _ = _FLOCK.unpack(answer)
    ours = own()
    if kind != fcntl.F_UNLCK and ours is not None and theirs != ours:
        raise StateInUse(
            f"the state at {shown} is written by a process in the PID namespace pid:[{theirs}], and this one is in pid:[{ours}]: "
            "their process numbers may be the same, which LMDB tells readers by. Read it from that namespace (nsenter --pid, docker "
            "run --pid=container:NAME, shareProcessNamespace), or read a snapshot or a copy"
        )


def is_taken(error: lmdb.Error) -> bool:
    """Whether beginning to read failed since another process has this one's number."""
    return getattr(error, "code", 0) == errno.EAGAIN or os.strerror(errno.EAGAIN) in str(error)


def taken(doing: str) -> NumberTaken:
    return NumberTaken(
        f"{doing}: a process in another PID namespace reads this state under this one's number, {os.getpid()}, which LMDB tells readers "
        "by: end that one, or run both in one namespace"
    )


def patiently(opened: Callable[[], T]) -> T:
    """What a writer's opening returns, which reads, so that its number is its own from then on. A reader that has it sees at its next
    look that a writer is here, and leaves. NumberTaken if it does not in PATIENCE seconds."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return opened()
        except NumberTaken:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK)
