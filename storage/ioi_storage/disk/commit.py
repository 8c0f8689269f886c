"""The commit: everything of a version in one LMDB transaction, or nothing.

The order within the transaction does not matter for a crash (LMDB shows all of it or nothing); it is the order in which
a reader of this file understands a version:

    1  nodes     the tree's new rows                appended: their keys begin with the version
    2  values    what was written, by key hash      appended
    3  stale     rows this version no longer needs  appended; deleted later, by pruning, never here
    4  versions  the record that makes it a version appended

    5  bodies    its transactions and outcomes, where they are kept: appended
    6  marks     the oldest version kept, where it moves

The flat table of latest values lags behind (latest/lag.py): updating it in place costs more than all of this. LMDB syncs
the data, then writes and syncs the meta page. When `write` returns, the version is durable.
"""

from __future__ import annotations

from collections.abc import Callable

import lmdb

from ..trees.keys import check_number
from ..trees.seam import Rows
from ..trees.staged import Staged
from . import marks
from .environment import Begin, Tables
from .rows import VersionRow, encode_version


def version_row(
    staged: Staged, *, receipts_root: bytes, height: int, header: bytes, transactions: int, failed: int
) -> VersionRow:
    """What a commit records of the version. ValueError if a number or size is out of range."""
    for name, value in (("receipts_root", receipts_root), ("header", header)):
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"{name} is {type(value).__name__}: give bytes")
    if len(receipts_root) != 32:
        raise ValueError(f"receipts_root has 32 bytes, this one {len(receipts_root)}")
    for name, number in (("height", height), ("transactions", transactions), ("failed", failed)):
        check_number(name, number, 63)
    return VersionRow(
        version=staged.version,
        root=staged.root,
        receipts_root=bytes(receipts_root),
        height=height,
        header=bytes(header),
        transactions=transactions,
        failed=failed,
        writes=staged.writes,
        keys=staged.keys,
        head=staged.pointer,
    )


def write(
    begin: Begin,
    tables: Tables,
    staged: Staged,
    row: VersionRow,
    bodies: Rows,
    oldest: int | None,
    check: Callable[[lmdb.Transaction[bytes]], None],
) -> None:
    """oldest: None leaves it. check: looks whether the state still is what the batch was staged on, where nobody can change it any
    more. Raises what that and LMDB raise; then nothing is written."""
    with begin() as txn:
        check(txn)
        append(txn, tables, "nodes", staged.nodes)
        append(txn, tables, "values", staged.values)
        append(txn, tables, "stale", staged.stale)
        append(txn, tables, "versions", [encode_version(row)])
        if bodies:
            append(txn, tables, "bodies", bodies)
        if oldest is not None:
            marks.write(txn, tables, marks.OLDEST, oldest)


def append(txn: lmdb.Transaction[bytes], tables: Tables, table: str, rows: Rows) -> None:
    """Adds rows whose keys ascend and follow all that are there."""
    with txn.cursor(tables[table]) as cursor:
        _, added = cursor.putmulti(rows, append=True)
    if added != len(rows):
        raise lmdb.CorruptedError(f"table {table!r} already holds rows of a later version")
