"""The LMDB environment of a state: how it is opened, what its errors mean.

Durability is LMDB's default: data synced, then the meta page. Never writemap (a full disk would be a SIGBUS). The map is
sized once, huge and sparse: resizing a map in use is how LMDB files break.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import lmdb

from ..errors import (
    DiskFull,
    FormatMismatch,
    StateCorrupt,
    StorageError,
    StorageIOError,
    TooManyReaders,
)
from . import namespace
from .descriptors import Descriptors, keep_standard, opened
from .rows import LATER_TABLES, TABLES

DATA = "data.mdb"
LOCKS = "lock.mdb"
WRITER = "LOCK"  # who writes has it locked (lock.py, namespace.py)
MAP_SIZE = 1 << 40
_SMALLEST_MAP = 1 << 30
_READERS = 1024  # slots for processes reading beside the writer
_LOCKS_BYTES = 64 * (_READERS + 3)  # a cache line for each, and three before them

Tables = dict[str, "lmdb._Database"]
Begin = Callable[[], "AbstractContextManager[lmdb.Transaction[bytes]]"]
"""Begins a write transaction, which leaving commits."""


def open_environment(
    path: str,
    *,
    read_only: bool,
    map_size: int = MAP_SIZE,
    metasync: bool = True,
    sync: bool = True,
    shown: str | None = None,
) -> tuple[lmdb.Environment, int]:
    """The environment in directory `path`, and the map size it got; where the address space is limited, a smaller one.

    sync: False where nothing counts before its end, which then syncs it all. shown: what errors call the directory."""
    shown = shown or path
    options = dict(subdir=True, readonly=read_only, metasync=metasync, sync=sync, max_readers=_READERS, mode=0o600)
    with translated(f"opening the state at {shown}", path):
        _refuse_links(path, shown)
        if read_only:
            namespace.refuse_foreign(os.path.join(path, WRITER), shown)
        _make_locks(os.path.join(path, LOCKS))
        try:
            return _open(path, map_size, **options)
        except lmdb.Error as error:
            denied = _denied(path, shown, read_only) if getattr(error, "code", 0) == errno.EACCES else ""
            error.args = (str(error).replace(path, shown) + denied,)
            raise


def _make_locks(path: str) -> None:
    """LMDB's lock file, if there is none, with all its blocks: LMDB makes it sparse and writes to it by its mapping, which kills a process
    where the disk is full (SIGBUS).

    One that is there is not touched: closing it would give up what LMDB in this process has locked of it (fcntl(2), POSIX locks)."""
    files = Descriptors()
    try:
        fd = files.add(os.open, path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, _LOCKS_BYTES)
        except OSError:
            os.unlink(path)
            raise
    except (FileExistsError, PermissionError):
        pass
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    finally:
        files.close()


def _denied(path: str, shown: str, read_only: bool) -> str:
    """Which file this user lacks permission for, for a message; "" where none is found."""
    for name, mode in ((DATA, os.R_OK if read_only else os.R_OK | os.W_OK), (LOCKS, os.R_OK | os.W_OK)):
        if not os.access(os.path.join(path, name), mode, effective_ids=True):
            what = "read" if mode == os.R_OK else "read and write"
            why = ", where each reader notes itself," if name == LOCKS and read_only else ""
            return f". This user must be allowed to {what} {os.path.join(shown, name)}{why} and is not: have its permissions or owner changed"
    return ""


def _refuse_links(path: str, shown: str) -> None:
    """LMDB follows links and writes where they lead, and a state may have come from anywhere."""
    for name in (DATA, LOCKS):
        file = os.path.join(path, name)
        if os.path.lexists(file) and not stat.S_ISREG(os.lstat(file).st_mode):
            raise StorageError(f"{os.path.join(shown, name)} is no plain file, as those of a state are: nothing was opened")


def open_memory(fd: int, *, read_only: bool, map_size: int = MAP_SIZE) -> tuple[lmdb.Environment, int]:
    """The environment in the memfd `fd`. Nothing there outlives its processes, so nothing is synced or locked: whoever
    commits makes sure that no read transaction is open."""
    with translated("opening the state in memory"):
        return _open(f"/proc/self/fd/{fd}", map_size, subdir=False, readonly=read_only, lock=False, sync=False)


def _open(path: str, map_size: int, **options: Any) -> tuple[lmdb.Environment, int]:
    keep_standard()
    try:
        path.encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:  # py-lmdb takes no such name
        with opened(path, os.O_PATH) as fd:
            return _open(f"/proc/self/fd/{fd}", map_size, **options)
    while True:
        try:
            env = lmdb.open(path, map_size=map_size, max_dbs=len(TABLES), lib_version=0, **options)
            return env, map_size
        except lmdb.MemoryError:
            if map_size <= _SMALLEST_MAP:
                raise
            map_size //= 2


def open_tables(env: lmdb.Environment, *, create: bool, create_later: bool = False) -> Tables:
    """create_later: those that the state lacks since a release before them made it; else they are left out."""
    tables: Tables = {}
    with translated("opening the tables of the state", env.path()):
        for name in TABLES:
            try:
                tables[name] = env.open_db(name.encode(), create=create or create_later and name in LATER_TABLES)
            except (lmdb.NotFoundError, lmdb.IncompatibleError):
                if name not in LATER_TABLES:
                    raise StateCorrupt("a table is missing: this is no ioi-exec state, or not a whole one") from None
        return tables


_FULL = (lmdb.MapFullError, lmdb.DiskError, lmdb.MemoryError)
_BROKEN = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)


_SHORT_WRITE = 1 << 20  # bytes: more than LMDB hands to one write, large values apart


def is_full(error: lmdb.Error | OSError, path: str | None) -> bool:
    """Whether there is no more room for a file in `path`. LMDB reports a write cut short by a full disk as EIO: that is what an EIO on a full disk means.

    Its transaction is undone and its pages, which nothing refers to, are written anew by the next one."""
    code = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    if isinstance(error, _FULL) or code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    if code != errno.EIO or path is None:
        return False
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    try:
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize < _SHORT_WRITE or 0 <= limit < os.stat(data_file(path)).st_size + _SHORT_WRITE
    except OSError:  # nothing is there any more
        return False


def translate(error: lmdb.Error | OSError, doing: str, path: str | None = None) -> StorageError:
    """The error of ours that says what an error of LMDB or the system means; `path`: the disk it happened on."""
    if isinstance(error, lmdb.MapFullError):
        return DiskFull(
            f"the map of the state is full while {doing} ({error}): the committed state is as it was; open it where more "
            "address space may be used (ulimit -v)"
        )
    if isinstance(error, lmdb.MemoryError):
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit >= 0:
            doing += f", where this process may use {limit} bytes of address space (ulimit -v): allow some {2 * _SMALLEST_MAP} more"
        return DiskFull(f"no memory left while {doing} ({error}): the committed state is as it was")
    if is_full(error, path):
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit >= 0:
            doing += f", where this process may write no file of more than {limit} bytes (ulimit -f)"
        return DiskFull(f"no room left while {doing} ({error}): the committed state is as it was; make room and go on")
    if isinstance(error, lmdb.Error) and namespace.is_taken(error):
        return namespace.taken(doing)
    if isinstance(error, lmdb.ReadersFullError):
        return TooManyReaders(
            f"{_READERS} read transactions are open already while {doing}, of all processes: end scans, or processes that read it, "
            "and try again"
        )
    if isinstance(error, _BROKEN):
        return StateCorrupt(f"LMDB finds the file damaged while {doing} ({error}): restore it from a backup")
    if isinstance(error, lmdb.VersionMismatchError):
        return FormatMismatch(f"{doing}: the file was written by another LMDB ({error})")
    return StorageIOError(f"failed while {doing}: {error}")


@contextmanager
def translated(doing: str, path: str | None = None) -> Iterator[None]:
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise translate(error, doing, path) from error


def begin_reading(env: lmdb.Environment) -> lmdb.Transaction[bytes]:
    """A read transaction. Where the dead have left no place for it, they are forgotten."""
    try:
        return env.begin()
    except lmdb.ReadersFullError:
        if not env.reader_check():
            raise
        return env.begin()


def data_file(path: str) -> str:
    return os.path.join(path, DATA)
