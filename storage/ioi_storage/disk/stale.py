"""Stale rows: recorded by the version that made them so, deleted once only versions nobody may read needed them.

Every commit notes in table `stale` which rows its version no longer needs. Once the oldest kept version has reached
that one, nobody needs them, and they go: in bounded transactions, never within a commit, for deleting rows all over the
tables is the slowest thing one can do to them. Mark `oldest` moves first, so that what is being deleted cannot be read.

A sweep takes what several versions recorded, in the order of the rows, since neighbours share pages: one at a time, each version
would touch most of these pages again. Its records go last, after all rows they name. May be stopped at any
point: the next sweep finds the records again, and that some rows are gone already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lmdb

from ..errors import corrupt
from ..trees.keys import u64
from . import bodies, marks
from .environment import Begin, Tables, begin_reading
from .rows import unseal
from .steps import in_steps

STEP = 4_000  # rows a transaction, some 30 ms
SWEEP = 200_000  # rows, about, and some 50 MB of memory. Sweeps of 20,000 delete a third as many in a second

_TABLE_OF_KIND = ("nodes", "values")
_RECORD_HEAD = 10  # kind u8 | version u64 | size u8; then `size` bytes: the rest of the row's key

Row = tuple[str, bytes]  # its table and key


def steps(env: lmdb.Environment, begin: Begin, tables: Tables, sweep: int | None = None) -> Iterator[int]:
    """Each next() is one transaction, begun by `begin`, and returns how many rows it deleted. sweep: rows each, SWEEP."""
    while True:
        with begin_reading(env) as txn:
            rows, pieces = _collected(txn, tables, sweep or SWEEP)
        if not pieces:
            break

        def delete(txn: lmdb.Transaction[bytes], part: Sequence[Row], last: bool) -> int:
            return sum(txn.delete(key, db=tables[table]) for table, key in part)

        yield from in_steps(sorted(rows) + [("stale", piece) for piece in pieces], STEP, env, begin, delete)
    while True:
        with begin() as txn:
            dropped = _drop_versions(txn, tables)
        if not dropped:
            break
        yield dropped
    yield from bodies.forget_steps(begin, tables)


def _collected(txn: lmdb.Transaction[bytes], tables: Tables, sweep: int) -> tuple[list[Row], list[bytes]]:
    """The rows to delete, and the keys of the pieces that name them; whole pieces, about so many rows."""
    newest = _newest(txn, tables)
    rows: list[Row] = []
    pieces: list[bytes] = []
    with txn.cursor(tables["stale"]) as cursor:
        for key, row in cursor.iternext():
            if int.from_bytes(key[:8], "big") > newest or len(rows) >= sweep:
                break
            rows.extend(records(key, row))
            pieces.append(key)
    return rows, pieces


def records(key: bytes, row: bytes) -> Iterator[Row]:
    """(table, row key) of each record of a row of table `stale`."""
    body, at = unseal("stale", key, row), 0
    while at < len(body):
        end = at + _RECORD_HEAD + (body[at + 9] if at + 9 < len(body) else 0)
        if at + _RECORD_HEAD > len(body) or end > len(body) or body[at] >= len(_TABLE_OF_KIND):
            raise corrupt("stale", key, "a record is cut off or of an unknown kind")
        yield _TABLE_OF_KIND[body[at]], body[at + 1 : at + 9] + body[at + _RECORD_HEAD : end]
        at = end


def waiting(txn: lmdb.Transaction[bytes], tables: Tables, most: int) -> int:
    """How many rows of table `stale` could be deleted now, counted up to `most`; costs two searches for each version of them."""
    newest, count, version = _newest(txn, tables), 0, 0
    with txn.cursor(tables["stale"]) as cursor:
        while count < most and cursor.set_range(u64(version)):
            first = cursor.key()
            version = max(version, int.from_bytes(first[:8], "big")) + 1
            if version > newest + 1:
                break
            if cursor.prev() if cursor.set_range(u64(version)) else cursor.last():
                count += int.from_bytes(cursor.key()[8:], "big") - int.from_bytes(first[8:], "big") + 1
    return min(count, most)


def _newest(txn: lmdb.Transaction[bytes], tables: Tables) -> int:
    """What is stale since this version or an earlier one, nobody needs: what the flat table lacks is read from table `values`,
    overwritten or not."""
    oldest, flat = marks.read(txn, tables, marks.OLDEST), marks.read(txn, tables, marks.FLAT)
    assert oldest is not None and flat is not None, "every state has these marks"
    return min(oldest, flat)


def _drop_versions(txn: lmdb.Transaction[bytes], tables: Tables) -> int:
    oldest, dropped = marks.read(txn, tables, marks.OLDEST), 0
    assert oldest is not None, "every state has this mark"
    with txn.cursor(tables["versions"]) as cursor:
        while dropped < STEP and cursor.first() and cursor.key() < u64(oldest):
            cursor.delete()
            dropped += 1
    return dropped
