"""Bringing up the flat table: the writes of several versions, merged and in key order, in bounded transactions.

The table belongs to no version while it is brought up: some keys are newer than its mark. Nobody sees that, because
whoever reads lays the writes above the mark over it (lag.py). The mark moves with the last transaction. A crash before
that loses nothing: table `values` still has the writes, and writing them again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import lmdb

from .. import _core
from ..disk import marks
from ..disk.environment import Begin, Tables
from ..disk.rows import decode_value
from ..disk.steps import in_steps
from ..errors import corrupt
from ..trees.keys import u64
from .lag import Changes

# Rows a transaction: a usual block whole. A commit that comes at the wrong moment waits for it, some 90 ms on a state of
# a million keys. Steps of 2,000 would let it wait 20, but the pages that several of them free are reused by every commit,
# scattered as they are: 2,600 writes to the file instead of 130, and about twice the time.
STEP = 10_000


def steps(
    env: lmdb.Environment, begin: Begin, tables: Tables, values: Mapping[bytes, bytes | None], version: int
) -> Iterator[int]:
    """Writes `values`, the newest of all versions above the mark up to `version`; each next() is one transaction, which
    `begin` begins, and returns how many it wrote."""

    def bring_up(txn: lmdb.Transaction[bytes], keys: Sequence[bytes], last: bool) -> int:
        write(txn, tables, [(key, values[key]) for key in keys])
        if last:
            before = marks.read(txn, tables, marks.FLAT)
            assert before is not None and before <= version, "only one at a time brings the table up"
            marks.write(txn, tables, marks.FLAT, version)
        return len(keys)

    return in_steps(sorted(values), STEP, env, begin, bring_up)


def write(txn: lmdb.Transaction[bytes], tables: Tables, changes: Changes) -> None:
    with txn.cursor(tables["flat"]) as cursor:
        cursor.putmulti(_core.seal_puts(changes if isinstance(changes, list) else list(changes)))
        for key, value in changes:
            if value is None and cursor.set_key(key):
                cursor.delete()


def changes_of(txn: lmdb.Transaction[bytes], tables: Tables, version: int) -> list[tuple[bytes, bytes | None]]:
    """What a version wrote, read from table `values`; in no order that matters. StateCorrupt rather than leave out one."""
    changes, prefix = [], u64(version)
    with txn.cursor(tables["values"]) as cursor:
        begins = cursor.set_range(prefix)
        check_before(cursor, begins, prefix)
        if begins:
            for row_key, row in cursor.iternext():
                pair = decode_value(row_key, row)  # of the one after the last too: it may be of this version, its key damaged
                if row_key[:8] != prefix:
                    if row_key < prefix:
                        raise corrupt("values", row_key, "it is out of order")
                    break
                if len(row_key) != 40:
                    raise corrupt("values", row_key, "its key has the wrong size")
                changes.append(pair)
    return changes


def check_before(cursor: lmdb.Cursor[bytes], found: bool, start: bytes) -> None:
    """Where a search in table `values` has ended, the row before is whole: it is not one of those sought, whose damaged key
    led the search astray. Leaves the cursor where it was."""
    if cursor.prev() if found else cursor.last():
        row_key, row = cursor.item()
        decode_value(row_key, row)
        if row_key >= start:
            raise corrupt("values", row_key, "it is out of order")
        cursor.next()
    elif found:
        cursor.first()


def load(txn: lmdb.Transaction[bytes], tables: Tables, versions: Sequence[int]) -> dict[bytes, bytes | None]:
    """The newest writes of consecutive versions."""
    values: dict[bytes, bytes | None] = {}
    for version in versions:
        values.update(changes_of(txn, tables, version))
    return values
