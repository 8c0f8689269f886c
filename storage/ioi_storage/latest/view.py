"""What is seen of a state in use: the newest snapshot with the lag that fits it, or the one that was pinned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import lmdb

from ..disk.handle import Handle
from ..disk.place import called
from ..disk.rows import VersionRow
from ..errors import StaleStage, TooManyReaders
from ..stand import Stand
from .follow import Follower
from .lag import Changes, Lag, merged
from .snapshot import Point, RowReader, Snapshot

# Of how many moments a store may have scans and walks open: all of one moment share a transaction.
MOMENTS = 128

T = TypeVar("T")
Pairs = Iterator[tuple[bytes, bytes]]


class View:
    """point: how to read a key of the newest version without asking whether there is a newer one, and what lies over it;
    None when that must be asked."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.point: tuple[Point, Mapping[bytes, bytes | None]] | None = None
        self._snapshot: Snapshot | None = None
        self._lag: Lag | None = None  # fits the snapshot
        self._follower = Follower()
        self._latest: VersionRow | None = None
        self._stand: Stand | None = None
        self._pins = 0
        self._walked: dict[int, tuple[Snapshot, int]] = {}  # by transaction: what scans and walks read from, how many of them
        handle.before_closing(self.drop)

    @property
    def _is_pinned(self) -> bool:
        """Whether what is seen stays as it is. A writer does not pin: it changes by its own doing alone."""
        return self._pins > 0

    # ---- which snapshot ----

    def now(self) -> tuple[Snapshot, Lag]:
        """The newest snapshot and its lag. The writer keeps one from commit to commit; another process cannot know when
        there is a newer one, so it takes one each time, unless it is pinned."""
        self.handle.check()
        if self.handle.read_only and not self._pins:
            self.drop()
            self.handle.check_namespace()
        if self._snapshot is None:
            snapshot = Snapshot(self.handle.env, self.handle.tables)
            try:
                self._lag = self._fit(snapshot)
            except BaseException:  # nobody may read it with the lag of another one
                snapshot.close()
                raise
            self._snapshot = snapshot
        assert self._lag is not None
        return self._snapshot, self._lag

    def drop(self) -> None:
        """Let go of the snapshot: the next read takes the newest one."""
        self.point = None
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    @contextmanager
    def pinned(self) -> Iterator[None]:
        assert self.handle.read_only, "a writer does not pin"
        if not self._pins:
            self.drop()
        self._pins += 1
        try:
            yield
        finally:
            self._pins -= 1
            if not self._pins and self.handle.is_open:
                self.drop()

    @contextmanager
    def _own(self) -> Iterator[tuple[Snapshot, Callable[[], None]]]:
        """The newest snapshot, or the pinned one, for who reads on while others begin to; and what to call before going on."""
        if self._is_pinned:
            pinned, _ = self.now()

            def check() -> None:
                self.handle.check()
                if self._snapshot is not pinned:
                    raise StaleStage("the view of the state that this was read from has been left: read on within it")

            yield pinned, check
            return
        # It may be newer than the snapshot for reads, for which the lag then would be too small.
        self.drop()
        snapshot, users = self._walked.get(self.handle.env.info()["last_txnid"]) or (self._another(), 0)
        number = snapshot.id
        self._walked[number] = snapshot, users + 1
        try:
            yield snapshot, self.handle.check
        finally:
            if self.handle.is_open:
                _, users = self._walked.pop(number)
                if users > 1:
                    self._walked[number] = snapshot, users - 1
                else:
                    snapshot.close()

    def _another(self) -> Snapshot:
        if len(self._walked) >= MOMENTS:
            raise TooManyReaders(
                f"scans and walks of {MOMENTS} versions of {called(self.handle.path)} are open, which keeps their pages: end some, "
                "or let go of them"
            )
        return Snapshot(self.handle.env, self.handle.tables)

    def _fit(self, snapshot: Snapshot) -> Lag:
        snapshot.refuse_rollback(self.handle.path)
        return self._follower.fit(snapshot)

    # ---- reading ----

    def read(self, read: Callable[[Snapshot], T]) -> T:
        try:
            return read(self.now()[0])
        except lmdb.Error as error:
            raise self.handle.failed(error, "reading") from error

    def look(self, read: Callable[[Snapshot], T]) -> T:
        """From a snapshot of its own, without the lag."""
        with self.handle.reading():
            snapshot = Snapshot(self.handle.env, self.handle.tables)
            try:
                return read(snapshot)
            finally:
                snapshot.close()

    @property
    def latest(self) -> VersionRow:
        if self._latest is None or self.handle.read_only:
            self._latest = self.read(Snapshot.latest)
        self.handle.check()
        return self._latest

    @property
    def stand(self) -> Stand:
        if self._stand is None or self.handle.read_only:
            self._stand = self.read(self._stand_of)
        self.handle.check()
        return self._stand

    def _stand_of(self, snapshot: Snapshot) -> Stand:
        return snapshot.stand(self.handle.file)

    def value(self, key: bytes) -> bytes | None:
        try:
            snapshot, lag = self.now()
            newest = lag.values
            point = snapshot.point
            if not self.handle.read_only:
                self.point = point, newest
            return newest[key] if key in newest else point(key)
        except lmdb.Error as error:
            raise self.handle.failed(error, "reading") from error

    def values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self.handle.reading():
            snapshot, lag = self.now()
            if not lag.values:
                return snapshot.getmulti(keys)
            newest = lag.values
            below = iter(snapshot.getmulti([key for key in keys if key not in newest]))
            return [newest[key] if key in newest else next(below) for key in keys]

    def pairs(self, start: bytes | None, end: bytes | None, reverse: bool, stand: Stand | None) -> Pairs:
        """stand: which they must be of, or StaleStage; None: the newest when the first is asked for."""
        with self.handle.reading("scanning"):
            latest = self.latest
            with self._own() as (snapshot, check):
                if stand is not None and (now := self._stand_of(snapshot)) != stand:
                    raise StaleStage(f"{stand.moved_to(now)}: scan again")
                lag = self._fit(snapshot)
                newest = lag.share()
                keys = newest.between(start, end, reverse)
                for pair in merged(newest.values, keys, snapshot.scan(start, end, reverse), reverse):
                    yield pair
                    check()
                    if self._latest is not latest and not self.handle.read_only:
                        raise StaleStage(f"the state moved from version {latest.version} during a scan: scan again")

    def lagging(self) -> Mapping[bytes, bytes | None]:
        """The newest writes by key that the flat table lacks; None is a delete."""
        if not self._is_pinned:
            self.drop()  # a newer one may hold more
        with self.handle.reading():
            return self.now()[1].values

    def flat(self) -> int:
        """The versions up to this one are wholly in the flat table, for whoever takes a snapshot from now on."""
        if not self._is_pinned:
            self.drop()
        with self.handle.reading():
            return self.now()[1].flat

    @property
    def lag_writes(self) -> int:
        """How many writes lag behind, as far as this process knows without looking."""
        return self._follower.writes

    def lagging_since(self, version: int) -> tuple[int, int, int]:
        """How many versions above this one lag behind, their writes, and the bytes that the flat table may grow by, as far as this
        process knows without looking."""
        return self._follower.since(version)

    @property
    def lag_room(self) -> int:
        """Bytes that the flat table may grow by, as far as this process knows without looking."""
        return self._follower.room

    @property
    def newest_room(self) -> int:
        """Of the version committed last."""
        return self._follower.newest_room

    @contextmanager
    def walking(self) -> Iterator[RowReader]:
        """Rows of all kept versions, from one snapshot until it is left."""
        self.handle.check()
        with self.handle.reading():
            written = self.handle.env.info()["last_txnid"]
            with self._own() as (snapshot, check_snapshot):

                def check() -> None:
                    check_snapshot()
                    # In memory whoever writes takes the pages from under whoever reads.
                    if self.handle.path is None and self.handle.env.info()["last_txnid"] != written:
                        raise StaleStage("the state was written to during a walk over it: walk again")

                def version_row(version: int) -> VersionRow:
                    snapshot.refuse_rollback(self.handle.path)
                    return snapshot.version_row(version)

                def nodes(keys: Sequence[bytes]) -> Sequence[bytes]:
                    check()
                    return snapshot.nodes(keys)

                def value(key: bytes) -> bytes:
                    check()
                    return snapshot.value_row(key)

                yield RowReader(lambda: self._stand_of(snapshot), version_row, nodes, value)

    # ---- writing ----

    def write(self, doing: str, steps: Iterator[int], progress: Callable[[int], None] | None = None) -> int:
        """Takes all steps, each of which writes a transaction and says how many rows it touched; returns how many in all.

        progress(rows so far) is called between them."""
        rows = 0
        while True:
            self.drop()  # in memory nobody may read while somebody writes; on disk it would keep pages
            with self.handle.writing(doing):
                count = next(steps, None)
            if count is None:
                return rows
            rows += count
            if progress is not None:
                progress(rows)

    def committed(self, row: VersionRow, changes: Changes) -> None:
        """A version was committed, with this view dropped before."""
        assert self._snapshot is None and self.point is None, "it would be of the version before"
        self._latest = row
        if self._stand is not None:
            self._stand = self._stand._replace(version=row.version, root=row.root)
        self._follower.committed(row.version, changes)

    def forget(self) -> None:
        """After a rollback, or a commit of which it is not known whether it is durable: nothing that was seen before counts."""
        self.drop()
        self._latest = self._stand = None
