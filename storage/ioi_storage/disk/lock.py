"""One writer per directory: a flock on the file LOCK, held for life and freed by the kernel, whatever way it ends."""

from __future__ import annotations

import errno
import fcntl
import os

from ..errors import StateInUse, StorageError
from . import namespace
from .descriptors import keep_standard
from .environment import WRITER, translated

NAME = WRITER


def take(directory: str, shown: str | None = None) -> int:
    """The locked descriptor. StateInUse if another process (or another store of this one) holds it. shown: what errors call
    the directory."""
    shown = shown or directory
    with translated(f"locking {shown}"):
        keep_standard()
        try:
            fd = os.open(os.path.join(directory, NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
            os.close(fd)
            raise StateInUse(f"the state at {shown} is open for writing elsewhere: close that, or open it read-only") from None
        except OSError:
            os.close(fd)
            raise
        namespace.mark(fd)
        return fd
