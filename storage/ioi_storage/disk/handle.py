"""A state in use: its environment, tables and lock, held by one process until it closes them or the disk fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import WeakMethod

import lmdb

from .. import process
from ..errors import StateInUse, StorageClosed, StorageError, StorageIOError
from . import namespace, reserve
from .descriptors import Descriptors
from .environment import WRITER, Tables, open_tables, translate
from .place import Place, by_descriptor, called

_NAMESPACE_SECONDS = 1.0  # less than a writer waits (namespace.PATIENCE)


class Handle:
    """path: absolute, None in memory. file: device and inode of the data file."""

    def __init__(self, place: Place, env: lmdb.Environment, files: Descriptors, *, read_only: bool) -> None:
        self.place = place
        self.path = place.path
        self.file = place.file
        self.read_only = read_only
        self.env = env
        self.pid = process.pid
        self.is_open = True
        self._looked = time.monotonic()
        self._before_closing: list[WeakMethod[Callable[[], object]]] = []
        self._around_writing: list[tuple[WeakMethod[Callable[[], object]], WeakMethod[Callable[[], object]]]] = []
        self.turn = threading.RLock() if place.path is None else None  # in memory: of whoever reads beside, or writes
        self._files = files  # the directory and the lock, or the memory; closed with it
        try:
            self.tables: Tables = open_tables(env, create=False, create_later=not read_only)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Idempotent. In a forked child it only forgets: the environment and the lock are the parent's."""
        if not self.is_open:
            return
        self.is_open = False
        ends, self._before_closing = self._before_closing, []
        if process.pid != self.pid:
            return
        for end in map(WeakMethod.__call__, ends):
            if end is not None:
                end()
        self.env.close()
        self._files.close()

    def before_closing(self, end: Callable[[], object]) -> None:
        """end: a method to be called while the environment is still there. Its object, which knows this one, is not kept alive by it:
        whatever is dropped without having been closed is gone at once, the lock with it."""
        self._before_closing.append(WeakMethod(end))

    def check(self) -> None:
        """Raises unless this process may use it."""
        if not self.is_open:
            raise StorageClosed(f"{called(self.path)} is closed: " + ("it is gone" if self.path is None else "open it again"))
        if process.pid != self.pid:
            raise StorageError(
                f"{called(self.path)} was opened by process {self.pid} and cannot be used after a fork: "
                "open a Reader in the child"
            )

    def check_namespace(self, *, close: bool = True) -> None:
        """For readers, before a new look, about once a second: StateInUse, and it is closed, if a writer has come in another PID
        namespace since. Idle, it would keep from that one the process number that both may have. close: False in other threads."""
        if self.read_only and self.path is not None and time.monotonic() - self._looked > _NAMESPACE_SECONDS:
            self._looked = time.monotonic()
            assert self.place.fd is not None
            try:
                namespace.refuse_foreign(os.path.join(by_descriptor(self.place.fd), WRITER), self.path)
            except StateInUse:
                if close:
                    self.close()
                raise

    def check_writable(self, to: str) -> None:
        """Raises also where the path names another state by now: what is written here, nobody would find there."""
        self.check()
        if self.read_only:
            raise StorageError(f"{called(self.path)} is open read-only: open it for writing to {to}")
        self.place.check_named()

    def around_writing(self, before: Callable[[], object], after: Callable[[], object]) -> None:
        """Methods to be called around each write transaction, held as above."""
        self._around_writing.append((WeakMethod(before), WeakMethod(after)))

    @contextmanager
    def begin(self) -> Iterator[lmdb.Transaction[bytes]]:
        """A write transaction, which leaving commits."""
        with nullcontext() if self.turn is None else self.turn:
            around = [(before(), after()) for before, after in self._around_writing]
            try:
                for before, _ in around:
                    if before is not None:
                        before()
                with self.env.begin(write=True) as txn:
                    yield txn
            finally:
                for _, after in around:
                    if after is not None:
                        after()

    @contextmanager
    def begin_growing(self, lag: int = 0) -> Iterator[lmdb.Transaction[bytes]]:
        """The same for what lets the state grow: it leaves the reserve as it is, or fails. lag: bytes that will lag behind then."""
        with self.begin() as txn:
            if self.path is None:
                yield txn
                return
            with reserve.held(self.env, txn, self.tables, self.place.map_size, lag):
                yield txn

    def failed(self, error: lmdb.Error | OSError, doing: str) -> StorageError:
        """What to raise for `error`. After an I/O error LMDB may commit on as if nothing had happened, on pages the
        kernel has dropped: the handle closes instead, and all that stands on it."""
        ours = translate(error, f"{doing} {called(self.path)}", self.path)
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
        return self.place.to_json()

    def inherit_fds(self) -> list[int]:
        self.check()
        return [] if self.place.fd is None else [self.place.fd]

    def reader_check(self) -> int:
        self.check()
        with self.reading("checking the readers of"):
            return self.env.reader_check()
