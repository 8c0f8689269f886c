"""Files that stay open: whose they are, and that descriptors 0 to 2 are the program's, of which none ever gets the number."""

from __future__ import annotations

import fcntl
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Union

from .. import process

STANDARD = range(3)
StrPath = Union[str, "os.PathLike[str]"]


class Descriptors:
    """Files that are open until `close`, or until nobody has this any more.

    A signal handler may raise (Ctrl-C) after any call, before what it returned is stored, and a file, or the lock on it, would be
    held for as long as the process lives. So what opens and what stores are one call into C here, and so are what takes and what
    closes. A forked child has the numbers and closes none: it may have closed its parent's files, and have others by then."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._pid = process.pid
        weakref.finalize(self, _close, self._numbers, self._pid).atexit = False

    def add(self, opening: Callable[..., int], *arguments: object) -> int:
        """The descriptor that opening(*arguments) returns. opening: a function in C."""
        keep_standard()
        self._numbers.extend(map(opening, *([each] for each in arguments)))
        return self._numbers[-1]

    def close(self) -> None:
        """All of them. Idempotent."""
        _close(self._numbers, self._pid)


@contextmanager
def opened(path: StrPath, flags: int) -> Iterator[int]:
    """A descriptor of that file as long as the `with` lasts. OSError."""
    files = Descriptors()
    try:
        yield files.add(os.open, path, flags | os.O_CLOEXEC)
    finally:
        files.close()


def _close(numbers: list[int], pid: int) -> None:
    if process.pid == pid:
        deque(map(os.close, map(list.pop, repeat(numbers, len(numbers)))), maxlen=0)


def keep_standard() -> None:
    """To be called before a file is opened that stays open: descriptors 0 to 2 are in use afterwards.

    A daemon has closed them, and the next file would get the number of one: then what is printed goes into it. /dev/null takes
    the place of each that is closed, and stays there."""
    for number in STANDARD:
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            _stand_in()


def _stand_in() -> None:
    fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # the lowest number that is free
    if fd not in STANDARD:  # another thread has just taken it
        os.close(fd)
