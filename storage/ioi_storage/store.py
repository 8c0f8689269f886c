"""The store: a state on disk (or, for tests, in memory). What it is made of stands in the rooms; this is its face."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Any

import lmdb

from . import process
from .disk import bodies, commit, directory, making, marks, reserve
from .disk.environment import data_file, translated
from .disk.handle import Handle
from .disk.making import StrPath
from .disk.place import called
from .disk.rows import Creation, VersionRow, encode_creation
from .errors import DiskFull, StaleStage, StorageIOError
from .history import prune, rollback
from .latest.keeper import Keeper
from .latest.lag import room
from .latest.moments import Moments, Seen
from .latest.snapshot import RowReader, Snapshot
from .latest.view import View
from .moment import Moment
from .moving.chunks import CHUNK_BYTES, Chunk
from .moving.genesis import genesis_writer, no_garbage_collection
from .moving.loading import loader
from .moving.manifest import Manifest
from .moving.snapshot import check_chunk_bytes, chunks_of
from .overlay import OverlayStore
from .stand import Stand
from .state import Pairs, State, Version
from .trees.keys import check_number
from .trees.seam import tree_named
from .trees.staged import Staged

TURN = 256  # pairs that a scan of a state in memory reads at a time


class Store(State):
    """An open state. Made by `create` or `open`; a context manager. For one thread at a time, in one process; what is called beside for any.

    keep: how many of the newest versions are kept, from the next commit on; None: all. Older ones are pruned beside it.
    held: a version that no commit prunes, nor any later one, whatever keep says; None: there is none. Any thread may set it.
    path: absolute, None in memory. tree: its name. meta: what `create` was given. genesis_root: 32 bytes."""

    def __init__(self, handle: Handle) -> None:
        self.path = handle.path
        self.read_only = handle.read_only
        self.keep: int | None = None
        self.held: int | None = None
        self._lineage = object()
        self._handle = handle
        self._pid = handle.pid
        self._view = View(handle)
        self._keeper = Keeper(handle, self._view)
        self._moments = Moments(handle)
        try:
            creation = self._view.look(Snapshot.creation)
            self._tree = tree_named(creation.tree)
            self.tree = creation.tree
            self.genesis_root = creation.genesis_root
            self.meta = creation.meta
            if not handle.read_only:  # another process may roll back a state that is only read here
                self._memory = self._tree.memory()
                self._finish_rollback()
            self._view.read(Snapshot.latest)
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
            return cls(making.make(path, genesis_writer(tree, meta, genesis, height, header, root)))

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
        return cls(making.make(path, loader(tree, meta, pairs, height, root)))

    @classmethod
    def open(cls, path: StrPath, *, read_only: bool = False) -> Store:
        """The state at `path`. StateMissing; StateInUse if it is open for writing elsewhere (`read_only` works beside)."""
        return cls(making.open_made(path, read_only))

    @property
    def closed(self) -> bool:
        return not self._handle.is_open

    def close(self) -> None:
        """Idempotent. In a forked child it only forgets: the environment and the lock are the parent's."""
        self._handle.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self) -> None:
        self._handle.check()

    # ---- reading ----

    @property
    def latest(self) -> VersionRow:
        return self._view.latest

    @property
    def stand(self) -> Stand:
        return self._view.stand

    def version_row(self, version: int) -> VersionRow:
        check_number("version", version, 64)
        return self._view.read(lambda snapshot: snapshot.version_row(version))

    @property
    def oldest(self) -> int:
        return self._view.read(lambda snapshot: snapshot.needed_mark(marks.OLDEST))

    def pinned(self) -> AbstractContextManager[None]:
        self._check()
        return self._view.pinned() if self.read_only else nullcontext()

    def get(self, key: bytes, version: Version | None = None) -> bytes | None:
        found = self._view.point
        if version is None and found is not None and process.pid == self._pid:
            # Nothing has happened since the last one was read: to find that out anew took as long as to read.
            point, newest = found
            try:
                return newest[key] if key in newest else point(key)
            except lmdb.Error:
                pass  # the long way says what it is
        return super().get(key, version)

    def _latest_value(self, key: bytes) -> bytes | None:
        return self._view.value(key)

    def _latest_values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._view.values(keys)

    def _latest_pairs(self, start: bytes | None, end: bytes | None, reverse: bool, stand: Stand | None) -> Pairs:
        return self._view.pairs(start, end, reverse, stand)

    def _nodes(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        return self._view.read(lambda snapshot: snapshot.nodes(keys))

    def _value_row(self, key: bytes) -> bytes:
        return self._view.read(lambda snapshot: snapshot.value_row(key))

    def _walking(self) -> AbstractContextManager[RowReader]:
        return self._view.walking()

    def body(self, version: Version) -> bodies.Body | None:
        with self.pinned():
            row = self.found(version)
            return self._view.read(lambda snapshot: snapshot.body(row.version))

    def entry(self, version: Version, index: int) -> tuple[bytes, bytes] | None:
        check_number("index", index, 32)
        with self.pinned():
            row = self.found(version)
            return self._view.read(lambda snapshot: snapshot.entry(row.version, index))

    def places(self, digest: bytes) -> list[tuple[int, int]]:
        self._check()
        with self.pinned():
            return self._view.read(lambda snapshot: snapshot.places(digest))

    def overlay(self) -> OverlayStore:
        """A state on top of this one that leaves it untouched."""
        return OverlayStore(self)

    # ---- beside other threads ----

    @contextmanager
    def moment(self) -> Iterator[Moment]:
        """`with store.moment() as moment:` the newest version, which stays what it is, for any thread beside the one that uses the store.

        A state in memory is not written to until it is left. RollbackUnfinished, TooManyReaders."""
        with self._moments.turn:
            seen = self._moments.take()
            try:
                yield Moment(seen, self._moments, self._tree, self._lineage)
            finally:
                self._moments.give(seen)

    def get_beside(self, key: bytes) -> bytes | None:
        """`get` of the newest version, for any thread: as `moment` has it, in a third of the time."""
        with self._moments.turn:
            seen = self._moments.take()
            try:
                return seen.value(key)
            finally:
                self._moments.give(seen)

    def scan_beside(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
        version: Version | None = None,
    ) -> Pairs:
        """As `scan`, for any thread. On disk it goes on in the version that it began with, whatever is committed meanwhile, and keeps its
        pages; in memory StaleStage."""
        if self.path is None:
            with self.moment() as moment:
                moment.scan(start, end, limit=0, version=version)  # raises what it has to at once
                return islice(self._scan_in_turns(start, end, reverse, version, moment.stand), limit)
        seen = self._moments.take()  # whatever becomes of the scan, nobody else holds it
        moment = Moment(seen, self._moments, self._tree, self._lineage)
        return self._scanning(seen, moment.scan(start, end, reverse=reverse, limit=limit, version=version))

    def _scanning(self, seen: Seen, pairs: Pairs) -> Pairs:
        try:
            yield from pairs
        finally:
            self._moments.give(seen)

    def _scan_in_turns(self, start: bytes | None, end: bytes | None, reverse: bool, version: Version | None, first: Stand) -> Pairs:
        while True:
            with self.moment() as moment:
                if moment.stand != first:
                    raise StaleStage(f"{first.moved_to(moment.stand)}: scan again")
                batch = list(moment.scan(start, end, reverse=reverse, limit=TURN, version=version))
                number = self._moments.number
            for pair in batch:
                yield pair
                self._check()
                if self._moments.number != number:
                    raise StaleStage(f"the state moved from version {first.version} during a scan: scan again")
            if len(batch) < TURN:
                return
            start, end = (start, batch[-1][0]) if reverse else (batch[-1][0] + b"\0", end)

    # ---- moving ----

    def snapshot(self, version: Version | None = None, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """A version (None: the latest) in chunks of about `chunk_bytes`, chunk 0 last; for `Restore`. Lazy, as `pairs`."""
        self._check()
        check_chunk_bytes(chunk_bytes)
        return chunks_of(self._tree, self._walking, self._row_of(version), chunk_bytes)

    def manifest(self, version: Version, chunks: int, size: int) -> Manifest:
        """What goes with the chunks of a version, of which there are so many, of so many bytes in all."""
        return Manifest.of(Creation(self.tree, self.genesis_root, self.meta), self.found(version), chunks, size)

    # ---- writing ----

    def commit(
        self, staged: Staged, *, receipts_root: bytes, height: int, header: bytes, transactions: int, failed: int,
        body: bodies.Body | None = None,
    ) -> int:
        self._handle.check_writable("commit")
        self._check_staged(staged)
        row = commit.version_row(
            staged, receipts_root=receipts_root, height=height, header=header, transactions=transactions, failed=failed
        )
        row, rows = row._replace(has_body=body is not None), [] if body is None else bodies.rows_of(row.version, body)
        self._keeper.do_what_upkeep_failed_to()
        with self._handle.writing("committing to"):
            oldest = None if self.keep is None else prune.next_oldest(self.oldest, row.version, self.keep, self.held)
            self._keeper.make_room(0 if oldest is None else len(staged.stale))
            # A snapshot kept open would keep its pages from being used again.
            self._view.drop()
            check = partial(self._check_unmoved, staged.parent)
            begin = partial(self._handle.begin_growing, self._view.lag_room + room(staged.changes))
            try:
                commit.write(begin, self._handle.tables, staged, row, rows, oldest, check)
                self._view.committed(row, staged.changes)
                self._moments.committed(row.version, staged.changes)
            except StaleStage:
                self.close()  # what is remembered here is of another state
                raise
            except BaseException:
                self._view.forget()  # it may be durable all the same: Ctrl-C during a sync comes after it
                raise
        self._keeper.committed(row.version, len(staged.stale), oldest, 0 if body is None else len(body.txs))
        return row.version

    def look_at_meta(self) -> None:
        """Have `meta` as whoever writes to the state described it last."""
        if self.read_only:
            self.meta = self._view.look(Snapshot.creation).meta

    def set_meta(self, meta: dict[str, Any]) -> None:
        """Remember this in the place of what `create` was given as meta; durable on return. DiskFull, StorageIOError."""
        self._handle.check_writable("describe it anew")
        key, row = encode_creation(Creation(self.tree, self.genesis_root, meta))
        self._view.drop()
        try:
            with self._handle.writing("describing"), self._handle.begin() as txn:
                txn.put(key, row, db=self._handle.tables["creation"])
        finally:  # Ctrl-C during a sync comes after it
            self._view.drop()
            self.meta = self._view.look(Snapshot.creation).meta

    def _check_unmoved(self, parent: Stand, txn: lmdb.Transaction[bytes]) -> None:
        inside = Snapshot(self._handle.env, self._handle.tables, txn)
        now = inside.stand(self._handle.file)
        inside.close()
        if now != parent:
            raise StaleStage(
                f"{called(self.path)} was written to by somebody else, although it is open for writing here, and is not what this "
                f"batch was staged on, {parent.moved_to(now)}: was its file LOCK removed? Open it anew"
            )

    def prune(self, keep: int, progress: Callable[[int], None] | None = None) -> int:
        """Keep the newest `keep` versions and delete what only older ones needed, now; returns how many rows went. On a full disk
        it makes room, for which there is a reserve (disk/reserve.py).

        progress(rows deleted so far) is called between the transactions and may raise: what is left goes with the next
        prune. Beside it, `keep` of an open store prunes as versions come. ValueError, DiskFull, StorageIOError."""
        self._handle.check_writable("prune it")
        if keep < 1:
            raise ValueError(f"keep must be at least 1, the newest version, not {keep}")
        oldest = max(self.oldest, self.version - keep + 1)
        self._keeper.leave_pruning()
        try:
            self._keeper.settle(to_prune=True)
        except DiskFull as full:  # then what it can do without
            try:
                rows = prune.prune(self._view, oldest, progress)
            except StorageIOError as error:  # where it was the meta page that had no room, LMDB does nothing more
                raise full from error
            if rows == 0:
                raise
            self._keeper.settle(to_prune=True)
        return prune.prune(self._view, oldest, progress)

    def rollback(self, version: int) -> None:
        """Go back to `version`, exactly, as if later ones had never been; results staged before no longer fit.

        Once begun it cannot be called off: interrupted, it is finished when the state is next opened for writing.
        VersionMissing if the version is not kept; DiskFull, StorageIOError."""
        self._handle.check_writable("roll it back")
        self.version_row(version)
        if version == self.version:
            return
        self._keeper.end()
        self._view.drop()
        with self._handle.writing("rolling back"):
            rollback.intend(self._handle.begin, self._handle.tables, version)
        self._finish_rollback()

    def _finish_rollback(self) -> None:
        version = self._view.look(lambda snapshot: snapshot.mark(marks.ROLLBACK))
        if version is None:
            return
        self._lineage, self._memory = object(), self._tree.memory()
        self._view.forget()
        self._moments.forget()
        rollback.finish(self._view, self._tree, version)

    def settle(self) -> None:
        """Bring the flat table up to the newest version, now. DiskFull, StorageIOError; nothing is lost."""
        self._keeper.settle()

    # ---- workers ----

    def lagging(self) -> Mapping[bytes, bytes | None]:
        """What a Reader made with lag=False does not see: newest writes by key, None a delete."""
        return self._view.lagging()

    @property
    def flat(self) -> int:
        """The newest version of which a Reader made with lag=False sees all: what later ones wrote is in `lagging`."""
        return self._view.flat()

    def reader_spec(self) -> dict[str, Any]:
        """What Reader(spec) needs in another process; JSON-able. Of a state in memory, pass `inherit_fds` to it too."""
        return {"tree": self.tree, **self._handle.reader_spec()}

    def inherit_fds(self) -> list[int]:
        """Descriptors a reading process must inherit (subprocess: pass_fds)."""
        return self._handle.inherit_fds()

    def upkeep(self) -> dict[str, int]:
        """How things stand beside the versions. file_bytes: of the data file; of those free_bytes hold nothing, of which a commit leaves
        reserve_bytes for pruning on a full disk. lagging_versions: what the table of latest values lacks. waiting_rows: of table `stale`, with
        some 45 rows each that may be deleted; counted up to a million."""

        def look(now: Snapshot) -> dict[str, int]:
            env = self._handle.env
            size = int(env.stat()["psize"]) * (int(env.info()["last_pgno"]) + 1) if self.path is None else os.path.getsize(data_file(env.path()))
            return {
                "file_bytes": size,
                "free_bytes": max(0, size - int(env.stat()["psize"]) * now.used_pages(env)),
                "reserve_bytes": 0 if self.path is None else reserve.wanted(size),
                "lagging_versions": now.latest().version - now.needed_mark(marks.FLAT),
                "waiting_rows": now.waiting(10**6),
            }

        return self._view.look(look)

    def reader_check(self) -> int:
        """Forget the read transactions of dead processes, which would keep old pages in use; returns how many."""
        return self._handle.reader_check()
