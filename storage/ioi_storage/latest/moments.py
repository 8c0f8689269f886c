"""What other threads than the writer's read: each a snapshot of its own, with the lag that fits it, of one committed version.

On disk a snapshot is left to itself, whatever is committed, pruned or rolled back beside it; those that wait to be used again go when
something is committed, for they would keep pages. In memory, where whoever writes takes the pages from under whoever reads, reading and
writing take turns: `turn` is held for as long as a snapshot is in use.

Each snapshot is used under its lock, so that `close` never takes one from under a call into LMDB. Nobody else holds them but who uses
them: what an interrupted thread has lost is gone with its frames, and its reader slot with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar
from weakref import WeakSet

import lmdb

from ..disk.environment import translate
from ..disk.handle import Handle
from ..disk.place import called
from ..errors import StaleStage, StorageClosed, TooManyReaders
from .follow import Follower
from .lag import Changes, Newest, merged
from .snapshot import Snapshot

MOST = 256  # snapshots at a time, of the slots that LMDB has for readers
IDLE = 8  # of them, that wait to be used again
QUIET = 64  # commits that nobody reads beside, after which what lags is no longer remembered for those who may

T = TypeVar("T")


class Seen:
    """A snapshot in use. newest: what its flat table lacks. number: how much this process had written when it was taken."""

    def __init__(self, handle: Handle, snapshot: Snapshot, newest: Newest, number: int) -> None:
        self.latest = snapshot.latest()
        self.stand = snapshot.stand(handle.file)
        self.newest = newest
        self.number = number
        self._handle = handle
        self._snapshot: Snapshot | None = snapshot
        self._point = snapshot.point
        self._lock = threading.Lock()

    def value(self, key: bytes) -> bytes | None:
        with self._lock:
            self._needed()
            if key in self.newest.values:
                return self.newest.values[key]
            try:
                return self._point(key)
            except lmdb.Error as error:
                raise self._failed(error) from error

    def read(self, read: Callable[[Snapshot], T]) -> T:
        with self._lock:
            snapshot = self._needed()
            try:
                return read(snapshot)
            except lmdb.Error as error:
                raise self._failed(error) from error

    def pairs(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        below = self.read(lambda snapshot: snapshot.scan(start, end, reverse))
        return merged(self.newest.values, self.newest.between(start, end, reverse), self._locked(below), reverse)

    def _locked(self, pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        while (pair := self.read(lambda _: next(pairs, None))) is not None:
            yield pair

    def _needed(self) -> Snapshot:
        if self._snapshot is None:
            self._handle.check()
            raise StaleStage("the view of the state that this was read from has been left: read on within it")
        return self._snapshot

    def _failed(self, error: lmdb.Error) -> Exception:
        """The store stays open: only its own thread may close it."""
        return translate(error, f"reading {called(self._handle.path)}", self._handle.path)

    @property
    def is_open(self) -> bool:
        return self._snapshot is not None

    def close(self) -> None:
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
            if snapshot is not None:
                snapshot.close()


class Moments:
    """For any thread."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.turn: AbstractContextManager[object] = nullcontext() if handle.turn is None else handle.turn
        self._lock = threading.RLock()  # once more where garbage is collected meanwhile, and a scan in it is given back
        self._follower = Follower()
        self._all: WeakSet[Seen] = WeakSet()
        self._idle: list[Seen] = []
        self._number = 0
        self._writing = 0  # write transactions that have begun: their versions may be there already
        self._unused = 0  # commits since one was taken
        self._known: dict[int, Changes] = {}  # versions that were committed here and that the follower has not met
        self._closed = False
        handle.before_closing(self.close)
        handle.around_writing(self.writes, self.moved)

    def take(self) -> Seen:
        """A snapshot of the newest version, for one thread, within `turn`; give it back.

        StorageClosed, RollbackUnfinished, TooManyReaders."""
        with self._lock:
            self.handle.check()
            if self._closed:
                raise StorageClosed(f"{called(self.handle.path)} is being closed")
            self._unused = 0
            if self._idle:
                return self._idle.pop()
            if self.handle.read_only:
                self.handle.check_namespace(close=False)
            if sum(seen.is_open for seen in self._all) >= MOST:
                raise TooManyReaders(f"{called(self.handle.path)} is read, or scanned, at {MOST} places at once: end some")
            try:
                snapshot = Snapshot(self.handle.env, self.handle.tables)
                try:
                    snapshot.refuse_rollback(self.handle.path)
                    lag = self._follower.fit(snapshot, self._known)
                    self._known.clear()
                    seen = Seen(self.handle, snapshot, lag.share(), self._number)
                except BaseException:
                    snapshot.close()
                    raise
            except lmdb.Error as error:
                raise translate(error, f"reading {called(self.handle.path)}", self.handle.path) from error
            self._all.add(seen)
            return seen

    def give(self, seen: Seen) -> None:
        with self._lock:
            # Nobody knows when there is something newer while it is being written, and a reader never does.
            if seen.is_open and not self._writing and seen.number == self._number and len(self._idle) < IDLE and not self._closed and not self.handle.read_only:
                self._idle.append(seen)
                return
        seen.close()

    def writes(self) -> None:
        """Something will be written."""
        with self._lock:
            self._writing += 1
        self.drop()

    def drop(self) -> None:
        """Those that nobody uses would keep pages, and in memory be of no use."""
        with self._lock:
            idle, self._idle = self._idle, []
            if self.handle.turn is not None:  # whoever may have one was interrupted, for it is our turn
                idle = list(self._all)
        for seen in idle:
            seen.close()

    def moved(self) -> None:
        """Something was written: from now on nothing older is taken."""
        with self._lock:
            self._number += 1
            self._writing = max(0, self._writing - 1)
        self.drop()

    @property
    def number(self) -> int:
        return self._number

    def committed(self, version: int, changes: Changes) -> None:
        """What a version wrote, which need not be read then."""
        with self._lock:
            self._unused += 1
            if self._unused <= QUIET:
                self._known[version] = changes
        if self._unused > QUIET:
            self.forget()

    def forget(self) -> None:
        """What lags, which need not be remembered, or is of versions that were rolled back."""
        with self._lock:
            self._known.clear()
            self._follower = Follower()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            seen = list(self._all)
            self._idle.clear()
        for one in seen:
            one.close()
