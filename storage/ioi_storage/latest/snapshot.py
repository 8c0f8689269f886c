"""One consistent view of a state: one LMDB read transaction, every row checked as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import lmdb

from ..disk import bodies, marks, reserve, stale
from ..disk.environment import Tables, begin_reading
from ..disk.place import called
from ..disk.rows import (
    CREATION_KEY,
    Creation,
    VersionRow,
    decode_creation,
    decode_version,
)
from ..errors import RollbackUnfinished, VersionMissing, corrupt
from ..stand import Stand
from ..trees.keys import u64
from ..trees.seam import ReadNodes
from . import catchup, flat

Point = Callable[[bytes], "bytes | None"]


class RowReader(NamedTuple):
    """Rows by key as one transaction sees them, for whoever walks over many."""

    stand: Callable[[], Stand]
    version_row: Callable[[int], VersionRow]
    nodes: ReadNodes
    value: Callable[[bytes], bytes]

    def same(self, row: VersionRow) -> VersionRow:
        """The version that `row` was read of. VersionMissing if it is no more, or another one has its number."""
        return same(self.version_row(row.version), row)


def same(now: VersionRow, then: VersionRow) -> VersionRow:
    """Both are of one number: VersionMissing unless they are of one version."""
    if now != then:
        raise VersionMissing(
            f"version {then.version} is another one by now: the state was rolled back, and the one with the root "
            f"{then.root.hex()} is no more"
        )
    return now


class Snapshot:
    """Reads a state as of its opening, until `close`.

    txn: a write transaction to look into, which `close` leaves open."""

    def __init__(self, env: lmdb.Environment, tables: Tables, txn: lmdb.Transaction[bytes] | None = None) -> None:
        self._tables = tables
        self._own = txn is None
        self._txn: lmdb.Transaction[bytes] = begin_reading(env) if txn is None else txn
        self._cursors: dict[str, lmdb.Cursor[bytes]] = {}
        self._marks: dict[bytes, int | None] = {}

    def close(self) -> None:
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()
        if self._own:
            self._txn.abort()

    def _cursor(self, table: str) -> lmdb.Cursor[bytes]:
        cursor = self._cursors.get(table)
        if cursor is None:
            cursor = self._cursors[table] = self._txn.cursor(self._tables[table])
        return cursor

    def creation(self) -> Creation:
        row = self._txn.get(CREATION_KEY, db=self._tables["creation"])
        if row is None:
            raise corrupt("creation", CREATION_KEY, "it is missing")
        return decode_creation(row)

    @property
    def id(self) -> int:
        """LMDB's number of the last transaction it sees."""
        return self._txn.id()

    def mark(self, name: bytes) -> int | None:
        if name not in self._marks:
            self._marks[name] = marks.read(self._txn, self._tables, name)
        return self._marks[name]

    def needed_mark(self, name: bytes) -> int:
        value = self.mark(name)
        if value is None:
            raise corrupt("marks", name, "it is missing")
        return value

    def refuse_rollback(self, path: str | None) -> None:
        """RollbackUnfinished if there is one: some rows are of later versions yet, some no more. path: for the message."""
        version = self.mark(marks.ROLLBACK)
        if version is not None:
            raise RollbackUnfinished(
                f"{called(path)} is being rolled back to version {version}: wait for that, or, "
                "if nobody is at it, open it once for writing, which finishes it"
            )

    def waiting(self, most: int) -> int:
        """Of table `stale`, the rows that could be deleted, counted up to `most`."""
        return stale.waiting(self._txn, self._tables, most)

    def used_pages(self, env: lmdb.Environment) -> int:
        return reserve.used_pages(env, self._txn, self._tables)

    def prunable_rows(self) -> int:
        """Of the tables that pruning deletes from: all, stale or not."""
        return sum(int(self._txn.stat(self._tables[table])["entries"]) for table in ("nodes", "values"))

    def changes(self, version: int) -> list[tuple[bytes, bytes | None]]:
        """What a version wrote."""
        return catchup.changes_of(self._txn, self._tables, version)

    def latest(self) -> VersionRow:
        cursor = self._cursor("versions")
        if not cursor.last():
            raise corrupt("versions", u64(0), "it is missing")
        return decode_version(*cursor.item())

    def stand(self, file: tuple[int, int]) -> Stand:
        """file: device and inode of the data file, which a transaction cannot tell."""
        row = self.latest()
        return Stand(*file, self.mark(marks.ROLLBACKS) or 0, row.version, row.root)

    def version_row(self, version: int) -> VersionRow:
        """VersionMissing if this version was never committed, or is no longer kept."""
        oldest = self.needed_mark(marks.OLDEST)
        if version < oldest:
            raise VersionMissing(f"version {version} is no longer kept: the oldest is {oldest}")
        row = self._txn.get(u64(version), db=self._tables["versions"])
        if row is not None:
            return decode_version(u64(version), row)
        latest = self.latest().version
        if version > latest:
            raise VersionMissing(f"version {version} is not committed yet: the latest is {latest}")
        raise corrupt("versions", u64(version), "it is missing")

    def body(self, version: int) -> bodies.Body | None:
        return bodies.body(self._txn, self._tables, version)

    def entry(self, version: int, index: int) -> tuple[bytes, bytes] | None:
        return bodies.entry(self._txn, self._tables, version, index)

    def places(self, digest: bytes) -> list[tuple[int, int]]:
        return bodies.places(self._txn, self._tables, digest, self.needed_mark(marks.OLDEST), self.latest().version)

    # The flat table as it is; what lags behind it is laid over it by whoever reads (view.py).

    @property
    def point(self) -> Point:
        """Reads one key; as long as the snapshot is open."""
        return partial(flat.get, self._cursor("flat"))

    def get(self, key: bytes) -> bytes | None:
        return flat.get(self._cursor("flat"), key)

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return flat.getmulti(self._cursor("flat"), keys)

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor(self._tables["flat"]) as cursor:
            yield from flat.scan(cursor, start, end, reverse)

    def nodes(self, keys: Sequence[bytes]) -> list[bytes]:
        """Rows of table `nodes`, in the order of `keys`, which are fastest ascending; unchecked, that is the tree's part."""
        found = self._cursor("nodes").getmulti(keys)
        if len(found) != len(keys):
            there = {key for key, _ in found}
            missing = next(key for key in keys if key not in there)
            raise corrupt("nodes", missing, "it is missing")
        return [row for _, row in found]

    def value_row(self, key: bytes) -> bytes:
        row = self._txn.get(key, db=self._tables["values"])
        if row is None:
            raise corrupt("values", key, "it is missing")
        return row
