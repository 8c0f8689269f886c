"""Writing a state that nobody can see yet, row by row, in transactions of bounded size."""

from __future__ import annotations

from collections.abc import Generator

import lmdb

from ..disk import commit, marks
from ..disk.environment import Tables
from ..disk.rows import Creation, VersionRow, encode_creation, encode_version, put_row
from ..latest import catchup
from ..trees.seam import Rows, TreeHead

_PAIRS = 20_000  # a transaction
_BYTES = 32 << 20  # or so many bytes of values


class Writer:
    """keys: how many pairs were written."""

    def __init__(self, env: lmdb.Environment, tables: Tables) -> None:
        self._env = env
        self._tables = tables
        self._nodes: list[tuple[bytes, bytes]] = []
        self._values: list[tuple[bytes, bytes]] = []
        self._flat: list[tuple[bytes, bytes]] = []
        self._bytes = 0
        self.keys = 0

    def tree(self, rebuilding: Generator[Rows, None, TreeHead]) -> TreeHead:
        """Writes all rows of a tree."""
        while True:
            try:
                self._nodes += next(rebuilding)
            except StopIteration as end:
                self.flush()
                head: TreeHead = end.value
                return head
            if len(self._nodes) >= _PAIRS:
                self.flush()

    def pair(self, version: int, key_hash: bytes, key: bytes, value: bytes) -> None:
        """A key and its value, written by this version. ValueError, now or soon, if it was there already."""
        self._values.append(put_row(version, key_hash, key, value))
        self._flat.append((key, value))
        self._bytes += len(value)
        self.keys += 1
        if len(self._flat) >= _PAIRS or self._bytes >= _BYTES:
            self.flush()

    def flush(self) -> None:
        with self._env.begin(write=True) as txn:
            with txn.cursor(self._tables["nodes"]) as cursor:
                cursor.putmulti(sorted(self._nodes))
            with txn.cursor(self._tables["values"]) as cursor:
                _, added = cursor.putmulti(sorted(self._values), overwrite=False)
            if added < len(self._values):
                raise ValueError(f"key {self._doubled().hex()} occurs twice")
            catchup.write(txn, self._tables, sorted(self._flat))
        self._nodes, self._values, self._flat, self._bytes = [], [], [], 0

    def _doubled(self) -> bytes:
        """A key that is not new. Of an earlier transaction, or twice in this one."""
        seen: set[bytes] = set()
        with self._env.begin(db=self._tables["flat"]) as txn:
            for key, _ in self._flat:
                if key in seen or txn.get(key) is not None:
                    return key
                seen.add(key)
        return b""

    def end(self, creation: Creation, row: VersionRow) -> None:
        """What makes it a state."""
        with self._env.begin(write=True) as txn:
            commit.append(txn, self._tables, "creation", [encode_creation(creation)])
            commit.append(txn, self._tables, "versions", [encode_version(row)])
            marks.write(txn, self._tables, marks.FLAT, row.version)
            marks.write(txn, self._tables, marks.OLDEST, row.version)
