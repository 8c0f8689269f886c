"""The store: a state on disk (or, for tests, in memory) and its life cycle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import lmdb

from . import process
from .disk import commit, directory, making, marks
from .disk.environment import Tables, open_tables, translate, translated
from .disk.making import StrPath
from .disk.rows import Creation, VersionRow
from .errors import (
    RollbackUnfinished,
    StaleStage,
    StorageClosed,
    StorageError,
    StorageIOError,
)
from .history import prune, rollback
from .history.snapshot import Point, Snapshot
from .latest import catchup
from .latest.lag import Lag, merged
from .latest.upkeep import Upkeep
from .moving.chunks import CHUNK_BYTES, CHUNK_LIMIT, Chunk, cut
from .moving.genesis import no_garbage_collection
from .moving.manifest import Manifest
from .state import Pairs, Rows, State, value_in, value_of
from .trees.seam import TreeHead, tree_named
from .trees.staged import Staged, version_row

T = TypeVar("T")

# How far the flat table may lag behind. Small writes wait for more, since a process for their sake is not worth it.
LAG_VERSIONS = 64
LAG_WRITES = 100_000  # some 20 MB, and what a state takes to open
UPKEEP_WRITES = 2_000
_RECORDS = 45  # of stale rows in a row of table `stale`, about
_PATIENCE = 30.0  # seconds


class Store(State):
    """An open state. Made by `create` or `open`; a context manager. For one thread at a time, in one process.

    keep: how many of the newest versions are kept, from the next commit on; None: all. Older ones are pruned beside it.
    path: absolute, None in memory. tree: its name. meta: what `create` was given. genesis_root: 32 bytes."""

    def __init__(self, path: str | None, env: lmdb.Environment, map_size: int, *, read_only: bool, fds: list[int]) -> None:
        self.path = path
        self.read_only = read_only
        self.keep: int | None = None
        self._lineage = object()
        self._env = env
        self._map_size = map_size
        self._fds = fds  # the lock, or the memory; closed with the store
        self._pid = process.pid
        self._open = True
        self._snapshot: Snapshot | None = None
        self._point: tuple[Point, Mapping[bytes, bytes | None]] | None = None  # how to read a key of it, and its lag
        self._pins = 0
        self._latest_row: VersionRow | None = None
        self._lag: Lag | None = None  # of the snapshot; of an older one it would be too small
        self._lag_id: int | None = None  # number of the last transaction it was made to fit
        self._prunable = 0  # records of stale rows that upkeep was not asked to delete yet
        self._lag_rollbacks: int | None = None  # mark `rollbacks` when it was made
        self._upkeep = Upkeep(path, map_size) if path is not None else None
        self._owed = False  # what the upkeep process failed to do
        try:
            self._tables: Tables = open_tables(env, create=False)
            creation = self._look(Snapshot.creation)
            self._tree = tree_named(creation.tree)
            if not read_only:
                self._finish_rollback()
            self.tree = creation.tree
            if not read_only:  # another process may roll back a state that is only read here
                self._memory = self._tree.memory()
            self.genesis_root = creation.genesis_root
            self.meta = creation.meta
            self._read(Snapshot.latest)
        except BaseException:
            self.close()
            raise

    # ---- life ----

    @classmethod
    def create(
        cls,
        path: StrPath | None,
        *,
        tree: str = "jellyfish",
        meta: dict[str, Any],
        genesis: Iterable[tuple[bytes, bytes]],
        height: int = 0,
        header: bytes = b"",
        root: bytes | None = None,
    ) -> Store:
        """A new state at version 0, durable on return, open for writing.

        path: absent or an empty directory, else StateExists; None keeps the state in memory. meta: JSON-able, the
        caller's own. genesis: (key, value) in any order; a key twice is a ValueError. root: what the root must be, else
        RootMismatch and no state."""
        if path is not None:
            with translated(f"creating a state at {path}"):  # before the genesis is read, which may take long
                directory.refuse_if_taken(os.path.realpath(path))
        with no_garbage_collection():
            return cls._of(making.make(path, making.genesis_writer(tree, meta, genesis, height, header, root)))

    @classmethod
    def load(
        cls,
        path: StrPath,
        *,
        tree: str = "jellyfish",
        meta: dict[str, Any],
        pairs: Iterable[tuple[bytes, bytes]],
        height: int = 0,
        root: bytes | None = None,
    ) -> Store:
        """As `create`, for more pairs than fit into memory; takes longer. On a tree whose root does not follow from the
        pairs alone (IAVL) it is `create`."""
        if tree_named(tree).meta_numbers:
            return cls.create(path, tree=tree, meta=meta, genesis=pairs, height=height, root=root)
        return cls._of(making.make(path, making.loader(tree, meta, pairs, height, root)))

    @classmethod
    def open(cls, path: StrPath, *, read_only: bool = False) -> Store:
        """The state at `path`. StateMissing; StateInUse if it is open for writing elsewhere (`read_only` works beside)."""
        return cls._of(making.open_made(path, read_only))

    @classmethod
    def _of(cls, made: making.Made) -> Store:
        return cls(made.path, made.env, made.map_size, read_only=made.read_only, fds=made.fds)

    @property
    def closed(self) -> bool:
        return not self._open

    def close(self) -> None:
        """Idempotent. In a forked child it only forgets: the environment and the lock are the parent's."""
        if not self._open:
            return
        self._open = False
        if process.pid != self._pid:
            return
        self._drop_snapshot()
        if self._upkeep is not None:
            self._upkeep.stop()
        self._env.close()
        for fd in self._fds:
            os.close(fd)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self) -> None:
        if not self._open:
            raise StorageClosed(f"the state at {self.path} is closed: open it again")
        if process.pid != self._pid:
            raise StorageError(
                f"the state at {self.path} was opened by process {self._pid} and cannot be used after a fork: "
                "open a Reader in the child"
            )

    # ---- reading ----

    @property
    def latest(self) -> VersionRow:
        if self._latest_row is None or self.read_only:
            self._latest_row = self._read(Snapshot.latest)
        self._check()
        return self._latest_row

    def version_row(self, version: int) -> VersionRow:
        if not 0 <= version < 2**64:
            raise ValueError(f"a version is a number from 0 on, not {version}")
        return self._read(lambda snapshot: snapshot.version_row(version))

    @property
    def oldest(self) -> int:
        return self._read(lambda snapshot: snapshot.needed_mark(marks.OLDEST))

    @contextmanager
    def pinned(self) -> Iterator[None]:
        self._check()
        if self.read_only and not self._pins:
            self._drop_snapshot()
        self._pins += 1
        try:
            yield
        finally:
            self._pins -= 1
            if self.read_only and not self._pins and self._open:
                self._drop_snapshot()

    def get(self, key: bytes, version: int | None = None) -> bytes | None:
        if version is None and self._point is not None and process.pid == self._pid:
            # Nothing has happened since the last one was read: to find that out anew took as long as to read.
            point, newest = self._point
            try:
                return newest[key] if key in newest else point(key)
            except lmdb.Error:
                pass  # the long way says what it is
        return super().get(key, version)

    def _latest_value(self, key: bytes) -> bytes | None:
        try:
            snapshot, lag = self._now()
            newest = lag.values
            point = snapshot.point
            if not self.read_only:
                self._point = point, newest
            return newest[key] if key in newest else point(key)
        except lmdb.Error as error:
            raise self._failed(error, "reading") from error

    def _latest_values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        try:
            snapshot, lag = self._now()
            if not lag.values:
                return snapshot.getmulti(keys)
            newest = lag.values
            below = iter(snapshot.getmulti([key for key in keys if key not in newest]))
            return [newest[key] if key in newest else next(below) for key in keys]
        except lmdb.Error as error:
            raise self._failed(error, "reading") from error

    def _latest_pairs(self, start: bytes | None, end: bytes | None, reverse: bool) -> Pairs:
        try:
            latest = self.latest
            with self._own_snapshot() as (snapshot, check):
                lag = self._follow(snapshot)
                keys = lag.between(start, end, reverse)
                for pair in merged(lag.share(), keys, snapshot.scan(start, end, reverse), reverse):
                    yield pair
                    check()
                    if self._latest_row is not latest and not self.read_only:
                        raise StaleStage(f"the state moved from version {latest.version} during a scan: scan again")
        except lmdb.Error as error:
            raise self._failed(error, "scanning") from error

    @contextmanager
    def _own_snapshot(self) -> Iterator[tuple[Snapshot, Callable[[], None]]]:
        """The newest snapshot, or the pinned one, for who reads on while others begin to; and what to call before going on."""
        if self._pins and self.read_only:
            pinned, _ = self._now()

            def check() -> None:
                self._check()
                if self._snapshot is not pinned:
                    raise StaleStage("the view of the state that this was read from has been left: read on within it")

            yield pinned, check
            return
        # It may be newer than the snapshot for reads, for which the lag then would be too small.
        self._drop_snapshot()
        snapshot = Snapshot(self._env, self._tables)
        try:
            yield snapshot, self._check
        finally:
            if self._open:
                snapshot.close()

    def lagging(self) -> Mapping[bytes, bytes | None]:
        """What a Reader made with lag=False does not see: newest writes by key, None a delete."""
        if not (self._pins and self.read_only):
            self._drop_snapshot()  # a newer one may hold more
        return self._read(lambda snapshot: self._follow(snapshot).values)

    # ---- moving ----

    def snapshot(self, version: int | None = None, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """A version (None: the latest) in chunks of about `chunk_bytes`, chunk 0 last; for `Restore`. Lazy, as `pairs`."""
        self._check()
        if not 1 <= chunk_bytes <= CHUNK_LIMIT:
            raise ValueError(f"chunk_bytes must be from 1 to {CHUNK_LIMIT}, not {chunk_bytes}")
        return self._chunks(self.version if version is None else self.version_row(version).version, chunk_bytes)

    def _chunks(self, version: int, size: int) -> Iterator[Chunk]:
        with self._walking() as rows:
            row = rows.version_row(version)
            top = self._tree.top(rows.nodes, TreeHead(row.root, row.head))
            yield from cut(self._tree, rows.nodes, lambda leaf: value_of(leaf, rows.value), top, row.keys, size)

    def manifest(self, version: int, chunks: int, size: int) -> Manifest:
        """What goes with the chunks of a version, of which there are so many, of so many bytes in all."""
        creation = Creation(self.tree, self.genesis_root, self.meta)
        return Manifest(creation, self.version_row(version)._replace(head=b""), chunks, size)

    def _nodes(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        return self._read(lambda snapshot: snapshot.nodes(keys))

    def _value_row(self, key: bytes) -> bytes:
        return self._read(lambda snapshot: snapshot.value_row(key))

    @contextmanager
    def _walking(self) -> Iterator[Rows]:
        self._check()
        try:
            written = self._env.info()["last_txnid"]
            with self._own_snapshot() as (snapshot, check_snapshot):

                def check() -> None:
                    check_snapshot()
                    # In memory whoever writes takes the pages from under whoever reads.
                    if self.path is None and self._env.info()["last_txnid"] != written:
                        raise StaleStage("the state was written to during a walk over it: walk again")

                def version_row(version: int) -> VersionRow:
                    self._refuse_rollback(snapshot)
                    return snapshot.version_row(version)

                def nodes(keys: Sequence[bytes]) -> Sequence[bytes]:
                    check()
                    return snapshot.nodes(keys)

                def value(key: bytes) -> bytes:
                    check()
                    return snapshot.value_row(key)

                yield Rows(version_row, nodes, value)
        except lmdb.Error as error:
            raise self._failed(error, "reading") from error

    def _read(self, read: Callable[[Snapshot], T]) -> T:
        try:
            return read(self._now()[0])
        except lmdb.Error as error:
            raise self._failed(error, "reading") from error

    def _look(self, read: Callable[[Snapshot], T]) -> T:
        """From a snapshot of its own, without the lag."""
        try:
            snapshot = Snapshot(self._env, self._tables)
            try:
                return read(snapshot)
            finally:
                snapshot.close()
        except lmdb.Error as error:
            raise self._failed(error, "reading") from error

    def _now(self) -> tuple[Snapshot, Lag]:
        """The newest snapshot and its lag. The writer keeps one from commit to commit; another process cannot know when
        there is a newer one, so it takes one each time, unless it is pinned."""
        self._check()
        if self.read_only and not self._pins:
            self._drop_snapshot()
        if self._snapshot is None:
            snapshot = Snapshot(self._env, self._tables)
            try:
                self._lag = self._follow(snapshot)
            except BaseException:  # nobody may read it with the lag of another one
                snapshot.close()
                raise
            self._snapshot = snapshot
        assert self._lag is not None
        return self._snapshot, self._lag

    def _refuse_rollback(self, snapshot: Snapshot) -> None:
        if snapshot.mark(marks.ROLLBACK) is not None:
            raise RollbackUnfinished(
                f"the state at {self.path} is being rolled back to version {snapshot.mark(marks.ROLLBACK)}: wait for that, or, "
                "if nobody is at it, open it once for writing, which finishes it"
            )

    def _follow(self, snapshot: Snapshot) -> Lag:
        """The lag, made to fit this snapshot."""
        if self._lag is not None and self._lag_id == snapshot.id:
            return self._lag
        self._refuse_rollback(snapshot)
        flat, latest, rollbacks = snapshot.needed_mark(marks.FLAT), snapshot.latest(), snapshot.mark(marks.ROLLBACKS)
        lag = self._lag
        if lag is None or lag.newest < flat or rollbacks != self._lag_rollbacks:
            # None yet, or too old, or of versions that were rolled back beside us. Roots would not tell: the same one
            # may have been come to again by other writes.
            lag = Lag(flat)
        lag.forget(flat)
        for version in range(lag.newest + 1, latest.version + 1):
            lag.add(version, snapshot.changes(version))
        self._lag, self._lag_rollbacks, self._lag_id = lag, rollbacks, snapshot.id
        return lag

    def _drop_snapshot(self) -> None:
        self._point = None
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def _failed(self, error: lmdb.Error | OSError, doing: str) -> StorageError:
        """What to raise for `error`. After an I/O error LMDB may commit on as if nothing had happened, on pages the
        kernel has dropped: the store closes instead."""
        ours = translate(error, f"{doing} the state at {self.path}", self.path)
        if isinstance(ours, StorageIOError):
            self.close()
        return ours

    # ---- writing ----

    def commit(
        self, staged: Staged, *, receipts_root: bytes, height: int, header: bytes, transactions: int, failed: int
    ) -> int:
        self._check_writable("commit")
        self._check_staged(staged)
        row = version_row(
            staged, receipts_root=receipts_root, height=height, header=header, transactions=transactions, failed=failed
        )
        self._do_what_upkeep_failed_to()
        try:
            self._make_room_in_lag()
            oldest = self._next_oldest(row.version)
            # A snapshot kept open would keep its pages from being used again.
            self._drop_snapshot()
            commit.write(self._env, self._tables, staged, row, oldest)
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, "committing to") from error
        self._latest_row = row
        assert self._lag is not None, "there was a snapshot just now"
        self._lag.add(row.version, staged.changes)
        if oldest is not None:
            self._prunable += _RECORDS * len(staged.stale)
        self._keep_up(row.version, oldest)
        return row.version

    def _keep_up(self, version: int, oldest: int | None) -> None:
        if self._upkeep is None:
            self.settle()
            if oldest is not None:
                self._run("pruning", prune.steps(self._begin, self._tables), None)
            return
        if self._lag is not None and self._lag.writes >= UPKEEP_WRITES:
            self._upkeep.ask(flat=version)
        if oldest is not None and self._prunable >= UPKEEP_WRITES and self._upkeep.ask(prune=oldest):
            self._prunable = 0

    def _end_upkeep(self) -> None:
        """From now on nobody else writes. An I/O error that the process has met is as good as one met here."""
        error = self._upkeep.stop() if self._upkeep is not None else None
        if isinstance(error, StorageIOError):
            self.close()
            raise error

    def _do_what_upkeep_failed_to(self) -> None:
        """Where it fails for all to see."""
        if self._upkeep is None or not (self._upkeep.failed or self._owed):
            return
        self._owed = True
        self.settle()
        self._run("pruning", prune.steps(self._begin, self._tables), None)
        self._owed = False

    def _next_oldest(self, version: int) -> int | None:
        """What mark `oldest` becomes with this version; None: stays."""
        if self.keep is None:
            return None
        oldest = version - self.keep + 1
        return oldest if oldest > self.oldest else None

    @property
    def _begin(self) -> Callable[[], Any]:
        return partial(self._env.begin, write=True)

    def _check_writable(self, to: str) -> None:
        self._check()
        if self.read_only:
            raise StorageError(f"the state at {self.path} is open read-only: open it for writing to {to}")

    def _run(self, doing: str, steps: Iterator[int], progress: Callable[[int], None] | None) -> int:
        """Takes all steps; returns how many rows they touched."""
        rows = 0
        while True:
            self._drop_snapshot()  # in memory nobody may read while somebody writes; on disk it would keep pages
            try:
                count = next(steps, None)
            except (lmdb.Error, OSError) as error:
                raise self._failed(error, doing) from error
            if count is None:
                return rows
            rows += count
            if progress is not None:
                progress(rows)

    def prune(self, keep: int, progress: Callable[[int], None] | None = None) -> int:
        """Keep the newest `keep` versions and delete what only older ones needed, now; returns how many rows went.

        progress(rows deleted so far) is called between the transactions and may raise: what is left goes with the next
        prune. Beside it, `keep` of an open store prunes as versions come. ValueError, DiskFull, StorageIOError."""
        self._check_writable("prune it")
        if keep < 1:
            raise ValueError(f"keep must be at least 1, the newest version, not {keep}")
        oldest = max(self.oldest, self.version - keep + 1)
        self.settle()
        self._drop_snapshot()
        try:
            with self._begin() as txn:
                marks.write(txn, self._tables, marks.OLDEST, oldest)
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, "pruning") from error
        self._prunable = 0
        return self._run("pruning", prune.steps(self._begin, self._tables), progress)

    def rollback(self, version: int) -> None:
        """Go back to `version`, exactly, as if later ones had never been; results staged before no longer fit.

        Once begun it cannot be called off: interrupted, it is finished when the state is next opened for writing.
        VersionMissing if the version is not kept; DiskFull, StorageIOError."""
        self._check_writable("roll it back")
        self.version_row(version)
        if version == self.version:
            return
        self._end_upkeep()
        self._drop_snapshot()
        try:
            rollback.intend(self._begin, self._tables, version)
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, "rolling back") from error
        self._finish_rollback()

    def _finish_rollback(self) -> None:
        version = self._look(lambda snapshot: snapshot.mark(marks.ROLLBACK))
        if version is None:
            return
        self._lineage, self._latest_row, self._lag = object(), None, None
        self._memory = self._tree.memory()
        row = self._look(lambda snapshot: snapshot.version_row(version))

        def values_at(txn: lmdb.Transaction[bytes], keys: list[bytes]) -> list[tuple[bytes, bytes | None]]:
            view = Snapshot(self._env, self._tables, txn)
            values = [(key, value_in(self._tree, view.nodes, view.value_row, row, key)) for key in keys]
            view.close()
            return values

        self._run("rolling back", rollback.steps(self._begin, self._tables, version, values_at), None)

    def settle(self) -> None:
        """Bring the flat table up to the newest version, now. DiskFull, StorageIOError; nothing is lost."""
        self._check_writable("settle it")
        self._end_upkeep()  # two that bring it up at once would overwrite new by old
        self._drop_snapshot()
        try:
            _, lag = self._now()
            self._drop_snapshot()
            for _ in catchup.steps(partial(self._env.begin, write=True), self._tables, lag.values, lag.newest):
                pass
            self._now()  # the lag is forgotten
        except (lmdb.Error, OSError) as error:
            raise self._failed(error, "bringing up the latest values of") from error

    def _make_room_in_lag(self) -> None:
        """Wait for the upkeep process while it gets on, else do its work."""
        _, lag = self._now()
        patience = time.monotonic() + _PATIENCE
        while lag.versions >= LAG_VERSIONS or lag.writes >= LAG_WRITES:
            busy = self._upkeep is not None and self._upkeep.alive and lag.writes >= UPKEEP_WRITES
            if not busy or time.monotonic() > patience:
                return self.settle()
            time.sleep(0.002)
            self._drop_snapshot()
            _, lag = self._now()

    # ---- workers ----

    def reader_spec(self) -> dict[str, Any]:
        """What Reader(spec) needs in another process; JSON-able. Of a state in memory, pass `inherit_fds` to it too."""
        self._check()
        spec: dict[str, Any] = {"tree": self.tree, "map_size": self._map_size}
        if self.path is None:
            spec["fd"] = self._fds[0]
        else:
            spec["path"] = self.path
        return spec

    def inherit_fds(self) -> list[int]:
        """Descriptors a reading process must inherit (subprocess: pass_fds)."""
        self._check()
        return list(self._fds) if self.path is None else []

    def reader_check(self) -> int:
        """Forget the read transactions of dead processes, which would keep old pages in use; returns how many."""
        self._check()
        try:
            return self._env.reader_check()
        except lmdb.Error as error:
            raise self._failed(error, "checking the readers of") from error
