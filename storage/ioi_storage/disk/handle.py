"""A state in use: its environment, tables and lock, held by one process until it closes them or the disk fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import lmdb

from .. import process
from ..errors import StorageClosed, StorageError, StorageIOError
from .environment import Tables, open_tables, translate


class Handle:
    """path: absolute, None in memory. before_closing: what to do while the environment is still there."""

    def __init__(self, path: str | None, env: lmdb.Environment, map_size: int, *, read_only: bool, fds: list[int]) -> None:
        self.path = path
        self.read_only = read_only
        self.env = env
        self.map_size = map_size
        self.pid = process.pid
        self.is_open = True
        self.before_closing: list[Callable[[], object]] = []
        self._fds = fds  # the lock, or the memory; closed with it
        try:
            self.tables: Tables = open_tables(env, create=False)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Idempotent. In a forked child it only forgets: the environment and the lock are the parent's."""
        if not self.is_open:
            return
        self.is_open = False
        if process.pid != self.pid:
            return
        for end in self.before_closing:
            end()
        self.env.close()
        for fd in self._fds:
            os.close(fd)

    def check(self) -> None:
        """Raises unless this process may use it."""
        if not self.is_open:
            raise StorageClosed(f"the state at {self.path} is closed: open it again")
        if process.pid != self.pid:
            raise StorageError(
                f"the state at {self.path} was opened by process {self.pid} and cannot be used after a fork: "
                "open a Reader in the child"
            )

    def check_writable(self, to: str) -> None:
        self.check()
        if self.read_only:
            raise StorageError(f"the state at {self.path} is open read-only: open it for writing to {to}")

    def begin(self) -> AbstractContextManager[lmdb.Transaction[bytes]]:
        """A write transaction, which leaving commits."""
        return self.env.begin(write=True)

    def failed(self, error: lmdb.Error | OSError, doing: str) -> StorageError:
        """What to raise for `error`. After an I/O error LMDB may commit on as if nothing had happened, on pages the
        kernel has dropped: the handle closes instead, and all that stands on it."""
        ours = translate(error, f"{doing} the state at {self.path}", self.path)
        if isinstance(ours, StorageIOError):
            self.close()
        return ours

    @contextmanager
    def reading(self, doing: str = "reading") -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            raise self.failed(error, doing) from error

    @contextmanager
    def writing(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise self.failed(error, doing) from error

    # ---- for readers in other processes ----

    def reader_spec(self) -> dict[str, Any]:
        """Where a reader finds it; JSON-able."""
        self.check()
        where = {"fd": self._fds[0]} if self.path is None else {"path": self.path}
        return {"map_size": self.map_size, **where}

    def inherit_fds(self) -> list[int]:
        self.check()
        return list(self._fds) if self.path is None else []

    def reader_check(self) -> int:
        self.check()
        with self.reading("checking the readers of"):
            return self.env.reader_check()
