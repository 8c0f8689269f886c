"""Stale rows: recorded by the version that made them so, deleted once only versions nobody may read needed them.

Every commit notes in table `stale` which rows its version no longer needs. Once the oldest kept version has reached
that one, nobody needs them, and they go: in bounded transactions, never within a commit, for deleting rows all over the
tables is the slowest thing one can do to them. Mark `oldest` moves first, so that what is being deleted cannot be read.

May be stopped at any point. A record is deleted with the rows it names, so the next run goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import lmdb

from ..errors import corrupt
from ..trees.keys import u64
from . import marks
from .environment import Begin, Tables
from .rows import unseal

STEP = 2_000  # rows a transaction: some 40 ms

_TABLE_OF_KIND = ("nodes", "values")
_RECORD_HEAD = 10  # kind u8 | version u64 | size u8; then `size` bytes: the rest of the row's key


def steps(begin: Begin, tables: Tables) -> Iterator[int]:
    """Each next() is one transaction, begun by `begin`, and returns how many rows it deleted."""
    while True:
        with begin() as txn:
            deleted = _step(txn, tables)
        if not deleted:
            return
        yield deleted


def _step(txn: lmdb.Transaction[bytes], tables: Tables) -> int:
    oldest, flat = marks.read(txn, tables, marks.OLDEST), marks.read(txn, tables, marks.FLAT)
    assert oldest is not None and flat is not None, "every state has these marks"
    # What the flat table lacks is read from table `values`, overwritten or not.
    rows, pieces = _collected(txn, tables, min(oldest, flat))
    for table, keys in rows.items():
        for key in sorted(keys):  # neighbours share pages
            txn.delete(key, db=tables[table])
    for key in pieces:
        txn.delete(key, db=tables["stale"])
    count = sum(map(len, rows.values())) + len(pieces)
    return count or _drop_versions(txn, tables, oldest)


def _collected(
    txn: lmdb.Transaction[bytes], tables: Tables, newest: int
) -> tuple[dict[str, list[bytes]], list[bytes]]:
    """The rows to delete by table, and the keys of the pieces that name them; whole pieces, about STEP rows."""
    rows: dict[str, list[bytes]] = {name: [] for name in _TABLE_OF_KIND}
    pieces: list[bytes] = []
    with txn.cursor(tables["stale"]) as cursor:
        for key, row in cursor.iternext():
            if int.from_bytes(key[:8], "big") > newest or sum(map(len, rows.values())) >= STEP:
                break
            for table, row_key in records(key, row):
                rows[table].append(row_key)
            pieces.append(key)
    return rows, pieces


def records(key: bytes, row: bytes) -> Iterator[tuple[str, bytes]]:
    """(table, row key) of each record of a row of table `stale`."""
    body, at = unseal("stale", key, row), 0
    while at < len(body):
        end = at + _RECORD_HEAD + (body[at + 9] if at + 9 < len(body) else 0)
        if at + _RECORD_HEAD > len(body) or end > len(body) or body[at] >= len(_TABLE_OF_KIND):
            raise corrupt("stale", key, "a record is cut off or of an unknown kind")
        yield _TABLE_OF_KIND[body[at]], body[at + 1 : at + 9] + body[at + _RECORD_HEAD : end]
        at = end


def _drop_versions(txn: lmdb.Transaction[bytes], tables: Tables, oldest: int) -> int:
    dropped = 0
    with txn.cursor(tables["versions"]) as cursor:
        while dropped < STEP and cursor.first() and cursor.key() < u64(oldest):
            cursor.delete()
            dropped += 1
    return dropped
