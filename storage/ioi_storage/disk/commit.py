"""The commit: everything of a version in one LMDB transaction, or nothing.

The order within the transaction does not matter for a crash (LMDB shows all of it or nothing); it is the order in which
a reader of this file understands a version:

    1  nodes     the tree's new rows                appended: their keys begin with the version
    2  values    what was written, by key hash      appended
    3  stale     rows this version no longer needs  appended; deleted later, by pruning, never here
    4  versions  the record that makes it a version appended

    5  marks     the oldest version kept, where it moves

The flat table of latest values lags behind (lag.py): updating it in place costs more than all of this. LMDB syncs the data, then writes and syncs the meta page. When `write` returns, the version is durable.
"""

from __future__ import annotations

import lmdb

from ..trees.seam import Rows
from ..trees.staged import Staged
from . import marks
from .environment import Tables
from .rows import VersionRow, encode_version


def write(env: lmdb.Environment, tables: Tables, staged: Staged, row: VersionRow, oldest: int | None) -> None:
    """oldest: None leaves it. Raises what LMDB raises; then nothing is written."""
    with env.begin(write=True) as txn:
        append(txn, tables, "nodes", staged.nodes)
        append(txn, tables, "values", staged.values)
        append(txn, tables, "stale", staged.stale)
        append(txn, tables, "versions", [encode_version(row)])
        if oldest is not None:
            marks.write(txn, tables, marks.OLDEST, oldest)


def append(txn: lmdb.Transaction[bytes], tables: Tables, table: str, rows: Rows) -> None:
    """Adds rows whose keys ascend and follow all that are there."""
    with txn.cursor(tables[table]) as cursor:
        _, added = cursor.putmulti(rows, append=True)
    if added != len(rows):
        raise lmdb.CorruptedError(f"table {table!r} already holds rows of a later version")
