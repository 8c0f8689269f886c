"""Descriptors 0 to 2 are the program's: no file of ours ever gets one of their numbers."""

from __future__ import annotations

import fcntl
import os

STANDARD = range(3)


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
