"""One writer per directory: a flock on the file LOCK, held for life and freed by the kernel, whatever way it ends."""

from __future__ import annotations

import errno
import fcntl
import os

from ..errors import StateInUse, StorageError
from . import namespace
from .descriptors import Descriptors
from .environment import WRITER, translated

NAME = WRITER


def take(directory: str, into: Descriptors, shown: str | None = None) -> None:
    """Held by a descriptor in `into`. StateInUse if another process (or another store of this one) holds it. shown: what errors call
    the directory."""
    shown = shown or directory
    with translated(f"locking {shown}"):
        try:
            fd = into.add(os.open, os.path.join(directory, NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise OSError(
                    error.errno, f"{os.path.join(shown, NAME)} may not be written by this user ({error.strerror}), which who writes "
                    "the state must: have its permissions or owner changed, or open the state read-only"
                ) from error
            if error.errno not in (errno.ELOOP, errno.EISDIR):
                raise
            raise StorageError(f"{os.path.join(shown, NAME)} is no plain file, as those of a state are: nothing was opened") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUse(f"the state at {shown} is open for writing elsewhere: close that, or open it read-only") from None
        namespace.mark(fd)
