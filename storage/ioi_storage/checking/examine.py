"""Examining a state: every row against what must be true of it. Finds all that is wrong, not only the first of it.

Always    creation, marks, the records of all versions; the newest version wholly: its tree rehashed from the leaves up,
          every value, and that the flat table with what lags behind it holds exactly these pairs.
Deep      every kept version, and that every row is accounted for. From the newest version down to the oldest kept, each
          is compared with the one before, without walking again what they share:

              new rows        those whose key begins with the version: all there are must belong to its tree
              boundary        older rows that new ones refer to: the version before must have them
              replaced rows   what the version before has above and beside the boundary: exactly these, and the rows
                              that keep its deletes, must be recorded as stale

          So what is needed in memory is what one version changed. In the end the rows must add up: reached from the
          newest version, or replaced since the oldest, or recorded by the oldest or before and waiting to be pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple, Optional

import lmdb

from .. import _core
from ..disk import bodies, marks
from ..disk.environment import Tables
from ..disk.rows import (
    CREATION_KEY,
    Creation,
    VersionRow,
    decode_value,
    decode_version,
    unseal,
)
from ..disk.stale import records
from ..errors import RollbackUnfinished, StateCorrupt, corrupt
from ..latest import catchup
from ..latest.snapshot import Snapshot
from ..trees.keys import u64, value_key
from ..trees.seam import Inner, Leaf, Node, Tree, TreeHead, tree_named

_BATCH = 500  # leaves whose rows are read together


class Finding(NamedTuple):
    """Something that is wrong. row: its key; None where it is no single row."""

    table: Optional[str]
    row: Optional[bytes]
    reason: str


Report = Callable[[Finding], None]
Progress = Callable[[str, int, int], None]
"""progress(what is being looked at, how many of it, of how many)"""


def examine(env: lmdb.Environment, tables: Tables, deep: bool, report: Report, progress: Progress) -> dict[str, Any]:
    """Looks at the state as one read transaction sees it, and returns what it saw, in numbers; what is wrong goes to
    `report`.

    Raises UnknownTree, FormatMismatch, RollbackUnfinished: a state this release cannot judge."""
    with env.begin() as txn:
        snapshot = Snapshot(env, tables, txn)
        try:
            examination = _Examination(txn, snapshot, tables, report, progress)
            try:
                return examination.run(deep)
            except lmdb.Error as error:  # LMDB reads no further in this transaction
                examination.found(None, None, f"LMDB finds the file damaged: {error}; what comes after that was not looked at")
                return {"deep": deep, "findings": examination.findings}
        finally:
            snapshot.close()


class _Region:
    """A part of a version's tree, cut off where the rows are another's."""

    def __init__(self) -> None:
        self.rows: set[bytes] = set()
        self.boundary: set[bytes] = set()  # rows where the region ends
        self.leaves: dict[bytes, Leaf] = {}  # by the key of their value's row

    def values(self, version: int) -> dict[bytes, Leaf]:
        """The leaves whose values were written in this version."""
        prefix = u64(version)
        return {key: leaf for key, leaf in self.leaves.items() if key[:8] == prefix}


class _Examination:
    def __init__(
        self, txn: lmdb.Transaction[bytes], snapshot: Snapshot, tables: Tables, report: Report, progress: Progress
    ) -> None:
        self._txn = txn
        self._tables = tables
        self._snapshot = snapshot
        self._report = report
        self._progress = progress
        self.findings = 0
        self._tree: Tree
        self._waiting: dict[str, set[bytes]] = {"nodes": set(), "values": set()}  # to be pruned
        self._replaced = {"nodes": 0, "values": 0}
        self._with_body: set[int] = set()  # kept versions that were committed with one
        self._lag: dict[bytes, bytes | None] = {}

    # ---- reporting ----

    def found(self, table: str | None, row: bytes | None, reason: str) -> None:
        self.findings += 1
        self._report(Finding(table, row, reason))

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """What is corrupt is a finding, and whatever came after it is left out."""
        try:
            yield
        except StateCorrupt as error:
            self._note(error)

    def _note(self, error: StateCorrupt) -> None:
        self.found(error.table, error.row, error.why)

    def _entries(self, table: str) -> int:
        return int(self._txn.stat(self._tables[table])["entries"])

    def _rows(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The rows of a table whose keys begin with `prefix`, ascending, else a finding."""
        before: bytes | None = None
        with self._txn.cursor(self._tables[table]) as cursor:
            if not (cursor.set_range(prefix) if prefix else cursor.first()):
                return
            for key, row in cursor.iternext():
                if before is not None and key <= before:
                    self.found(table, key, "it is out of order")
                before = key
                if key[: len(prefix)] != prefix:
                    return
                yield key, row

    # ---- the whole ----

    def run(self, deep: bool) -> dict[str, Any]:
        creation: Creation | None = None
        with self._noting():
            creation = self._creation()
        found = self._marks()
        if found.get(marks.ROLLBACK) is not None:
            raise RollbackUnfinished(
                f"the state is being rolled back to version {found[marks.ROLLBACK]}: wait for that, or, if nobody is at it, "
                "open it once for writing, which finishes it"
            )
        newest = self._versions(found.get(marks.OLDEST), creation)
        summary: dict[str, Any] = {"deep": deep, "version": None, "keys": None}
        if creation is None or newest is None:
            return {**summary, "findings": self.findings}
        self._tree = tree_named(creation.tree)
        oldest = found.get(marks.OLDEST)
        flat = found.get(marks.FLAT)
        if oldest is not None and oldest > newest.version:
            self.found("marks", marks.OLDEST, f"it is {oldest}, the newest version is {newest.version}")
            oldest = None
        if flat is not None and flat > newest.version:
            self.found("marks", marks.FLAT, f"it is {flat}, the newest version is {newest.version}")
            flat = None
        for table in ("nodes", "values", "stale", *({"bodies"} & self._tables.keys())):
            self._nothing_after(table, newest.version)
        if deep and oldest is not None:
            self._load_waiting(oldest)
        reached = self._newest(newest, flat)
        mark = found.get(marks.FOUND)
        if mark is not None and mark > newest.version:
            self.found("marks", marks.FOUND, f"it is {mark}, the newest version is {newest.version}")
        self._bodies(mark, oldest or 0, deep)
        if deep and oldest is not None:
            self._history(newest, oldest, reached)
        return {
            **summary,
            "tree": creation.tree,
            "version": newest.version,
            "oldest_version": oldest,
            "root": newest.root.hex(),
            "keys": newest.keys,
            "rows": {name: self._entries(name) for name in self._tables},
            "findings": self.findings,
        }

    def _creation(self) -> Creation:
        rows = list(self._rows("creation"))
        for key, row in rows:
            if key != CREATION_KEY:
                self.found("creation", key, "it does not belong there")
            else:
                unseal("creation", key, row)  # a damaged format number shall not look like another release's
        return self._snapshot.creation()

    def _marks(self) -> dict[bytes, int | None]:
        values: dict[bytes, int | None] = {}
        for key, _ in self._rows("marks"):
            if key not in marks.NAMES:
                self.found("marks", key, "there is no such mark")
                continue
            with self._noting():
                values[key] = self._snapshot.mark(key)
        there = {key for key, _ in self._rows("marks")}
        for name in (marks.FLAT, marks.OLDEST):
            if name not in there:
                self.found("marks", name, "it is missing")
        return values

    def _versions(self, oldest: int | None, creation: Creation | None) -> VersionRow | None:
        """The newest version's record."""
        newest: VersionRow | None = None
        expected: int | None = None
        total = self._entries("versions")
        for count, (key, row) in enumerate(self._rows("versions"), 1):
            self._progress("records of versions", count, total)
            if len(key) != 8:
                self.found("versions", key, "its key has the wrong size")
                continue
            version = int.from_bytes(key, "big")
            if expected is None and oldest is not None and version > oldest:
                reason = f"it is missing: the oldest kept version is {oldest}, the first recorded {version}"
                self.found("versions", u64(oldest), reason)
            if expected is not None and version != expected:
                self.found("versions", u64(expected), f"it is missing: the next one recorded is {version}")
            expected = version + 1
            newest = None
            with self._noting():
                newest = decode_version(key, row)
                if newest.has_body and version >= (oldest or 0):
                    self._with_body.add(version)
                if version == 0 and creation is not None and newest.root != creation.genesis_root:
                    self.found("versions", key, "its root is not the genesis root that the state was created with")
        if expected is None:
            self.found("versions", None, "there is no version at all")
        return newest

    def _bodies(self, mark: int | None, oldest: int, deep: bool) -> None:
        """That each body of a kept version is whole; deep: and that table `found` has those up to the mark, and no others. Of versions
        before the oldest some parts may be deleted already, from the first on, and their transactions may never have been noted."""
        if "bodies" not in self._tables:
            return self._lost_bodies(set())
        before, found, known = self.findings, 0, set[int]()
        version, at, total = -1, 0, self._entries("bodies")
        for count, (key, row) in enumerate(self._rows("bodies"), 1):
            self._progress("parts of bodies", count, total)
            with self._noting():
                known.add(int.from_bytes(key[:8], "big"))
                part = bodies.decode(key, row)
                if int.from_bytes(key[:8], "big") != version:
                    self._whole_body(version, at)
                    version = int.from_bytes(key[:8], "big")
                    at = part.first if version < oldest else 0
                if part.first != at:
                    self.found("bodies", bodies.key_of(version, at), f"it is missing: the next one is from transaction {part.first} on")
                at = part.first + len(part.txs)
                for index, tx in enumerate(part.txs if deep else (), part.first):
                    row_key = bodies.found_key(tx, version, index)
                    there = self._txn.get(row_key, db=self._tables["found"]) is not None
                    found += there
                    if not there and mark is not None and oldest <= version <= mark:
                        self.found("found", row_key, f"it is missing: transaction {index} of version {version} is there")
        self._whole_body(version, at)
        self._lost_bodies(known)
        for key, row in self._rows("found"):
            with self._noting():
                unseal("found", key, row)
                if (version := int.from_bytes(key[32:40], "big")) not in known:
                    known.add(version)
                    self.found("bodies", bodies.key_of(version, 0), "it is missing: table 'found' has transactions of it")
        if mark is None and self._entries("found"):
            self.found("marks", marks.FOUND, "it is missing: table 'found' has rows")
        if deep and self.findings == before and found != self._entries("found"):
            self.found("found", None, f"it has {self._entries('found')} rows, of which {found} are of transactions that are there")

    def _lost_bodies(self, there: set[int]) -> None:
        for version in sorted(self._with_body - there):
            self.found("bodies", bodies.key_of(version, 0), "it is missing: the version was committed with its transactions and receipts")
            there.add(version)

    def _whole_body(self, version: int, transactions: int) -> None:
        row = self._txn.get(u64(version), db=self._tables["versions"]) if version >= 0 else None
        if row is None:
            return  # pruned, and to be deleted
        try:
            said = decode_version(u64(version), row).transactions
        except StateCorrupt:
            return  # found among the records of versions
        if said != transactions:
            self.found("bodies", bodies.key_of(version, transactions), f"it is missing, or not of {said} transactions, which the version has")

    def _nothing_after(self, table: str, version: int) -> None:
        with self._txn.cursor(self._tables[table]) as cursor:
            if cursor.last() and cursor.key()[:8] > u64(version):
                self.found(table, cursor.key(), f"it belongs to a version after the newest, {version}")

    # ---- the newest version ----

    def _newest(self, newest: VersionRow, flat: int | None) -> int | None:
        """How many node rows it has; None if it could not be walked wholly."""
        lag_is_whole = flat is not None
        for version in range(newest.version + 1 if flat is None else flat + 1, newest.version + 1):
            before = self.findings
            with self._noting():
                self._lag.update(catchup.changes_of(self._txn, self._tables, version))
            lag_is_whole = lag_is_whole and self.findings == before
        before = self.findings
        leaves, rows = 0, int(bool(newest.head))
        last: bytes | None = None
        batch: list[Leaf] = []
        for node in self._walk(newest, self._not_waiting):
            if isinstance(node, Inner):
                rows += node.row is not None and node.row != newest.head
                continue
            if last is not None and node.place <= last:
                self.found("nodes", None, f"leaf {node.place.hex()} is out of order in version {newest.version}")
            last = node.place
            leaves += 1
            self._needed("values", value_key(node.version, node.key_hash), newest.version)
            batch.append(node)
            if len(batch) == _BATCH:
                self._progress("keys of the newest version", leaves, newest.keys)
                self._check_values(batch, lag_is_whole)
                batch.clear()
        self._check_values(batch, lag_is_whole)
        is_whole = self.findings == before
        if is_whole and leaves != newest.keys:
            self.found("versions", u64(newest.version), f"it says the state has {newest.keys} keys, the tree has {leaves}")
        self._check_flat(newest, leaves if lag_is_whole and is_whole else None)
        return rows if is_whole else None

    def _not_waiting(self, row: bytes) -> bool:
        if row in self._waiting["nodes"]:
            self.found("nodes", row, "it is needed by the newest version, and recorded as stale since the oldest or before")
        return True

    def _needed(self, table: str, row: bytes, version: int) -> None:
        if row in self._waiting[table]:
            self.found(table, row, f"it is needed by version {version}, and recorded as stale since the oldest or before")

    def _check_values(self, leaves: list[Leaf], lag_is_whole: bool | None) -> None:
        """That the values' rows are those of the leaves; lag_is_whole: and that the flat table has them (None: not asked)."""
        found = self._read("values", [value_key(leaf.version, leaf.key_hash) for leaf in leaves])
        pairs: list[tuple[bytes, bytes]] = []
        for leaf in leaves:
            row_key = value_key(leaf.version, leaf.key_hash)
            try:
                key, value = self._value(row_key, found.get(row_key))
                if value is None or sha256(value).digest() != leaf.value_hash:
                    raise corrupt("values", row_key, "its value is not the one recorded in the tree")
                if self._tree.place(key) != leaf.place:
                    raise corrupt("values", row_key, "its key does not belong at its place in the tree")
                pairs.append((key, value))
            except StateCorrupt as error:
                self._note(error)
        if lag_is_whole is None:
            return
        flat = self._read("flat", [key for key, _ in pairs if key not in self._lag])
        for key, value in pairs:
            try:
                if key in self._lag:
                    if lag_is_whole and self._lag[key] != value:
                        self.found("values", None, f"key {key.hex()} has another value in the tree than the newest written")
                elif key not in flat:
                    self.found("flat", key, "it is missing: the tree has this key")
                elif unseal("flat", key, flat[key]) != value:
                    self.found("flat", key, "its value is not the one in the tree")
            except StateCorrupt as error:
                self._note(error)

    def _value(self, row_key: bytes, row: bytes | None) -> tuple[bytes, bytes | None]:
        if row is None:
            raise corrupt("values", row_key, "it is missing")
        key, value = decode_value(row_key, row)
        if sha256(key).digest() != row_key[8:]:
            raise corrupt("values", row_key, "its key is not the one whose hash names it")
        return key, value

    def _read(self, table: str, keys: list[bytes]) -> dict[bytes, bytes]:
        with self._txn.cursor(self._tables[table]) as cursor:
            return dict(cursor.getmulti(sorted(keys)))

    def _check_flat(self, newest: VersionRow, keys: int | None) -> None:
        """Every row of the flat table; and, if all keys of the tree are there, that there are no others."""
        count, total = sum(value is not None for value in self._lag.values()), self._entries("flat")
        for seen, (key, row) in enumerate(self._rows("flat"), 1):
            if _core.unseal(key, row) is None:
                self.found("flat", key, "its checksum does not match")
            count += key not in self._lag
            if seen % _BATCH == 0:
                self._progress("latest values", seen, total)
        if keys is None or count == keys:
            return
        head = TreeHead(newest.root, newest.head)
        extra = [key for key, _ in self._rows("flat") if key not in self._lag]
        extra += [key for key, value in self._lag.items() if value is not None]
        for key in extra:
            with self._noting():
                if self._tree.find(self._snapshot.nodes, head, self._tree.place(key)) is None:
                    table = "values" if key in self._lag else "flat"
                    reason = f"key {key.hex()} is not in the tree of the newest version"
                    self.found(table, key if table == "flat" else None, reason)

    def _walk(self, row: VersionRow, enter: Callable[[bytes], bool]) -> Iterator[Node]:
        """All nodes of a version in order, parents first; rows that are not entered are left out."""
        if not row.head or not enter(row.head):
            return
        nodes: list[Node | None] = [None]
        with self._noting():
            nodes = [self._tree.top(self._snapshot.nodes, TreeHead(row.root, row.head))]
        while nodes:
            node = nodes.pop()
            if node is None:
                continue
            if isinstance(node, Leaf):
                yield node
                continue
            if node.row is not None and node.row != row.head and not enter(node.row):
                continue
            try:
                left, right = self._tree.split(self._snapshot.nodes, node)
            except StateCorrupt as error:
                self._note(error)
                continue
            yield node
            nodes.append(right)
            nodes.append(left)

    # ---- the versions before it ----

    def _load_waiting(self, oldest: int) -> None:
        """What may be pruned, and is not yet."""
        for key, row in self._rows("stale"):
            if key[:8] > u64(oldest):
                return
            with self._noting():
                for table, row_key in records(key, row):
                    if self._txn.get(row_key, db=self._tables[table]) is not None:
                        self._waiting[table].add(row_key)

    def _history(self, newest: VersionRow, oldest: int, reached: int | None) -> None:
        new, keys_add_up = newest, reached is not None
        for version in range(newest.version - 1, oldest - 1, -1):
            self._progress("versions before the newest", newest.version - version, newest.version - oldest)
            old: VersionRow | None = None
            with self._noting():
                old = self._snapshot.version_row(version)
            if old is None:
                return
            keys_add_up = self._step(old, new, oldest) and keys_add_up
            new = old
        if keys_add_up:
            counts = {"nodes": reached or 0, "values": newest.keys}
            for table, count in counts.items():
                if self._entries(table) != count + self._replaced[table] + len(self._waiting[table]):
                    self._find_orphans(new, table)

    def _region(self, row: VersionRow, inside: Callable[[bytes], bool]) -> _Region:
        region = _Region()

        def enter(key: bytes) -> bool:
            (region.rows if inside(key) else region.boundary).add(key)
            return key in region.rows

        for node in self._walk(row, enter):
            if isinstance(node, Leaf):
                region.leaves[value_key(node.version, node.key_hash)] = node
        return region

    def _step(self, old: VersionRow, new: VersionRow, oldest: int) -> bool:
        """Two versions, one after the other; False if rows were damaged, so that nothing can be counted."""
        before, version = self.findings, u64(new.version)
        added = self._region(new, lambda row: row[:8] == version)
        removed = self._region(old, lambda row: row not in added.boundary)
        for row in removed.rows:
            self._needed("nodes", row, old.version)
        for row in removed.leaves:
            self._needed("values", row, old.version)
        written = self._written(new, added)
        self._check_values([leaf for leaf in removed.leaves.values() if leaf.version <= oldest], None)
        if self.findings != before:
            return False
        for row in sorted(added.boundary - removed.boundary):
            self.found("nodes", row, f"version {new.version} refers to it, version {old.version} before it does not")
        kept = {row for row in added.leaves if row[:8] != version}
        for row in sorted(kept - removed.leaves.keys()):
            self.found("values", row, f"version {new.version} refers to it, version {old.version} before it does not")
        if new.keys - old.keys != len(added.leaves) - len(removed.leaves):
            change = len(added.leaves) - len(removed.leaves)
            reason = f"it says {new.keys} keys after {old.keys}, the trees differ by {change}"
            self.found("versions", version, reason)
        replaced = {"nodes": removed.rows, "values": set(removed.leaves) - kept}
        for table, rows in replaced.items():
            self._replaced[table] += len(rows)
        deletes = written - added.leaves.keys()
        self._replaced["values"] += len(deletes)
        self._check_stale(new.version, {"nodes": replaced["nodes"], "values": replaced["values"] | deletes})
        return self.findings == before

    def _written(self, row: VersionRow, added: _Region) -> set[bytes]:
        """The rows of `values` that a version wrote, deletes too; all its rows are looked at."""
        prefix = u64(row.version)
        there = {key for key, _ in self._rows("nodes", prefix)}
        for key in sorted(there - added.rows):
            self.found("nodes", key, f"it is not part of version {row.version}, which wrote it")
        puts = added.values(row.version)
        written: set[bytes] = set()
        for row_key, value_row in self._rows("values", prefix):
            written.add(row_key)
            with self._noting():
                key, value = self._value(row_key, value_row)
                leaf = puts.get(row_key)
                if value is not None and leaf is None:
                    self.found("values", row_key, f"it is not part of version {row.version}, which wrote it")
                elif leaf is not None and (value is None or sha256(value).digest() != leaf.value_hash):
                    self.found("values", row_key, "its value is not the one recorded in the tree")
                elif leaf is not None and self._tree.place(key) != leaf.place:
                    self.found("values", row_key, "its key does not belong at its place in the tree")
        for row_key in sorted(puts.keys() - written):
            self.found("values", row_key, "it is missing")
        return written

    def _check_stale(self, version: int, expected: dict[str, set[bytes]]) -> None:
        recorded: dict[str, set[bytes]] = {table: set() for table in expected}
        before = self.findings
        for number, (key, row) in enumerate(self._rows("stale", u64(version))):
            if key[8:] != number.to_bytes(4, "big"):
                self.found("stale", key, f"piece {number} of version {version} is missing, or this is none")
            with self._noting():
                for table, row_key in records(key, row):
                    if row_key in recorded[table]:
                        self.found("stale", key, f"it records row {row_key.hex()} of {table!r}, which was recorded before it")
                    recorded[table].add(row_key)
                    if self._txn.get(row_key, db=self._tables[table]) is None:
                        reason = f"it is missing: version {version} recorded it as stale, and nothing pruned it"
                        self.found(table, row_key, reason)
                    elif row_key not in expected[table]:
                        reason = f"it records row {row_key.hex()} of {table!r}, which version {version} did not replace"
                        self.found("stale", key, reason)
        if self.findings == before:
            for table, rows in expected.items():
                for row_key in sorted(rows - recorded[table]):
                    self.found(table, row_key, f"version {version} replaced it, and did not record it as stale")

    def _find_orphans(self, oldest: VersionRow, table: str) -> None:
        """Rows of the oldest kept version and before that nothing accounts for. Rows of later ones were all looked at."""
        before = self.findings
        region = self._region(oldest, lambda row: True)
        known = (region.rows if table == "nodes" else region.leaves.keys()) | self._waiting[table]
        for key, _ in self._rows(table):
            if key[:8] > u64(oldest.version):
                break
            if key not in known:
                self.found(table, key, "no kept version reaches it, and it is not recorded as stale")
        if self.findings == before:
            self.found(table, None, "its rows do not add up, though each belongs to some version")
