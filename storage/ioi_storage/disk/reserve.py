"""The reserve: room in the data file that only what makes room may use, pruning and rolling back, when the disk is full.

LMDB writes pages anew before it gives up the old ones, so that even deleting needs some. A transaction that lets the state grow
(a commit, bringing up the flat table) therefore leaves a part of the file free, and makes the file longer for that, which is where
the disk is found to be full, before anything has been written. What is deleted leaves free pages, which serve as the reserve where they are many: LMDB keeps the
list of them in runs of pages, which are sure to be found only at the end of the file. Where a disk cannot promise room
(posix_fallocate is not supported) there is no reserve.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import lmdb

from .descriptors import opened
from .environment import DATA, Tables

SHARE, LEAST, MOST = 16, 1 << 18, 1 << 23  # of the file; bytes
SCATTERED = 4  # times as much of free pages, where it is not at the end of the file
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def wanted(size: int) -> int:
    """Bytes of reserve in a file of so many."""
    return max(LEAST, min(MOST, size // SHARE))


def used_pages(env: lmdb.Environment, txn: lmdb.Transaction[bytes], tables: Tables) -> int:
    """By what this transaction sees and has written. The list of free pages, a hundredth of it, is not counted."""
    trees = [txn.stat(table) for table in tables.values()] + [env.stat()]
    return 2 + sum(int(tree["branch_pages"] + tree["leaf_pages"] + tree["overflow_pages"]) for tree in trees)


@contextmanager
def held(env: lmdb.Environment, txn: lmdb.Transaction[bytes], tables: Tables, map_size: int, lag: int = 0) -> Iterator[None]:
    """What is written inside leaves the reserve free, once the transaction is committed, and so many bytes for what will lag behind.
    Raises what says that there is no room: MapFullError, or an OSError."""
    before = used_pages(env, txn, tables)
    yield
    path, page = os.path.join(env.path(), DATA), int(env.stat()["psize"])
    size, used = os.stat(path).st_size, used_pages(env, txn, tables)
    end = int(env.info()["last_pgno"]) + 1 + max(0, used - before)
    reserve, free, tail = wanted(size), size - used * page, size - end * page
    free -= lag
    if free < reserve or (tail < reserve // 2 and free < SCATTERED * reserve):
        _extend(path, size, (reserve - min(free, tail)) // page * page + page, reserve, map_size)


def _extend(path: str, size: int, more: int, slack: int, map_size: int) -> None:
    """slack: so much longer yet, if it can be, for the next ones."""
    room = map_size - size
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if room < more:
        raise lmdb.MapFullError("no room for the reserve")
    if limit != resource.RLIM_INFINITY:
        room = min(room, limit - size)  # asking for more would be a signal, SIGXFSZ
        if room < more:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    with opened(path, os.O_WRONLY | os.O_NOFOLLOW) as fd:
        try:
            os.posix_fallocate(fd, size, min(more + slack, room))
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return
            os.posix_fallocate(fd, size, more)
