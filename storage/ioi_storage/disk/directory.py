"""Creating a state's directory so that a crash leaves a whole state or nothing.

    .NAME.creating-XXXX/     made beside NAME, its LOCK held by the creator
        ... written and synced
    NAME                     renamed in, the parent directory synced

A creator that died left its directory without a lock holder: the next creator of the same name removes it. If it died when
NAME was there and its parent not synced, whoever opens NAME to write does that.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import StateExists, StateMissing, StorageError, StorageIOError
from . import lock
from .descriptors import Descriptors, opened
from .environment import DATA, LOCKS, data_file, translate, translated


def refuse_if_missing(path: str) -> None:
    """StateMissing unless there is a state at `path`; StorageIOError if that cannot be seen, for want of permission."""
    try:
        is_file = stat.S_ISREG(os.stat(data_file(path)).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_file = False
    except OSError as error:
        raise translate(error, f"looking for a state at {path}") from error
    if not is_file:
        raise StateMissing(f"there is no state at {path}: create one, or check the path")


def refuse_if_taken(path: str) -> None:
    """StateExists unless `path` is free or an empty directory."""
    if not os.path.lexists(path):
        return
    is_state = os.path.exists(data_file(path))
    if is_state:
        raise StateExists(f"{path} already holds a state: open it, or choose another path", is_state=True)
    if not os.path.isdir(path) or os.listdir(path):
        raise StateExists(f"{path} is not an empty directory: choose another path", is_state=False)


def refuse_if_linked(path: str, shown: str, *, read_only: bool) -> None:
    """StorageError if what an opening writes to has another name besides the one in this directory, which may be a file in a
    backup, or none of a state: LMDB writes in place."""
    for name, written in ((DATA, not read_only), (LOCKS, os.access(os.path.join(path, LOCKS), os.W_OK))):
        if written and os.lstat(os.path.join(path, name)).st_nlink > 1:
            raise StorageError(
                f"{os.path.join(shown, name)} is a file with another name besides this one (a hard link), and what is written here "
                "would be written there: nothing was opened. Open a copy of the directory that is made without links"
            )


def refuse_if_others_may_write(path: str) -> None:
    """StorageError unless `path` is a directory of this user, not a link to one, that nobody else may write."""
    about = os.lstat(path)
    if not stat.S_ISDIR(about.st_mode):
        why = "no directory"
    elif about.st_uid != os.geteuid():
        why = f"of another user ({about.st_uid})"
    elif about.st_mode & 0o022:
        why = f"writable by others (mode {stat.S_IMODE(about.st_mode):o})"
    else:
        return
    raise StorageError(f"{path} is {why}, so nothing in it can be relied on: look who made it, and remove it or choose another path")


def no_directory(doing: str, parent: str) -> StorageIOError:
    error = StorageIOError(f"cannot {doing}: the directory {parent} does not exist, create it first")
    error.__cause__ = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), parent)
    return error


@contextmanager
def created_beside(path: str, what: str = "a state", *, locked: bool = True) -> Iterator[tuple[str, Descriptors]]:
    """(a new directory to fill, its lock, to be closed). Leaving renames it to `path`; an exception removes it.

    locked: whether what is at `path` then has a LOCK, the one of the creator."""
    with translated(f"creating {what} at {path}"):
        refuse_if_taken(path)
        parent, name = os.path.split(path)
        if not os.path.isdir(parent):
            raise no_directory(f"create {what} at {path}", parent)
        files = Descriptors()
        beside = _make_beside(parent, f".{name}.creating-", files)
        try:
            yield beside, files
            for file in os.listdir(beside):
                sync(os.path.join(beside, file))
            with _only_creator(parent):
                if not locked:
                    os.unlink(os.path.join(beside, lock.NAME))
                _put_in_place(beside, path)
        except BaseException:
            with suppress(OSError):  # then it is left to the next creator
                _discard(beside)
            files.close()
            raise


@contextmanager
def _only_creator(parent: str) -> Iterator[None]:
    """While a directory has no lock of its own, yet or any more, no other creator may take it for a leftover."""
    with opened(parent, os.O_RDONLY | os.O_DIRECTORY) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield


def _make_beside(parent: str, prefix: str, files: Descriptors) -> str:
    with _only_creator(parent):
        for leftover in os.listdir(parent):
            if leftover.startswith(prefix):
                _remove_if_abandoned(os.path.join(parent, leftover))
        beside = os.path.join(parent, prefix + secrets.token_hex(8))
        os.mkdir(beside, 0o700)
        lock.take(beside, files)
        return beside


def _put_in_place(beside: str, path: str) -> None:
    sync(beside)
    try:
        os.rename(beside, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            refuse_if_taken(path)
        raise
    try:
        sync(os.path.dirname(path))
    except BaseException:
        os.rename(path, beside)
        raise


def _remove_if_abandoned(directory: str) -> None:
    files = Descriptors()
    try:
        try:
            refuse_if_others_may_write(directory)
            lock.take(directory, files)
        except (StorageError, OSError):
            return  # its creator lives, or it is none of ours
        _discard(directory)
    finally:
        files.close()


def _discard(directory: str) -> None:
    """Its name first, or after a crash it might lie, half removed, where it had been renamed to for a moment."""
    sync(os.path.dirname(directory))
    shutil.rmtree(directory, ignore_errors=True)


_NOT_TO_BE_SYNCED = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.EROFS)


def sync_name(path: str) -> None:
    """Make the name of what is there durable: who made it may have died before that was done.

    Not where it cannot have been made just now: in a directory one may not look into, or whose file system takes no
    changes, and so no syncs (squashfs, say, below the mount point of a state)."""
    try:
        sync(os.path.dirname(path))
    except OSError as error:
        if error.errno not in _NOT_TO_BE_SYNCED:
            raise


def sync(path: str) -> None:
    with opened(path, os.O_RDONLY) as fd:
        os.fsync(fd)
