"""Rollback: going back to an earlier version, as if the later ones had never been.

    1  the intent     mark `rollback` = the version; whoever opens the state from now on goes on with it
                      mark `rollbacks` counts it, for readers beside that remember later versions
    2  flat           every key that a later version wrote gets the value it had
    3  rows           of later versions are deleted; in most tables they are the last ones. What bodies lead to goes with them
    4  the end        mark `flat` is at most the version, mark `rollback` goes, in one transaction

In bounded transactions, each durable before the next. A crash repeats 2, which then changes nothing, and goes on with 3.
Rows that later versions had made stale are current again; none was pruned, for pruning stays below the oldest kept
version and a rollback goes no further than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lmdb

from ..disk import bodies, marks
from ..disk.environment import Begin, Tables
from ..disk.rows import decode_value
from ..latest import catchup
from ..latest.snapshot import Snapshot
from ..latest.view import View
from ..trees.keys import u64
from ..trees.seam import Tree
from .versions import value_in

STEP = 1_000  # rows a transaction

ValuesAt = Callable[["lmdb.Transaction[bytes]", "list[bytes]"], "list[tuple[bytes, bytes | None]]"]


def intend(begin: Begin, tables: Tables, version: int) -> None:
    with begin() as txn:
        marks.write(txn, tables, marks.ROLLBACK, version)
        marks.write(txn, tables, marks.ROLLBACKS, (marks.read(txn, tables, marks.ROLLBACKS) or 0) + 1)


def finish(view: View, tree: Tree, version: int) -> None:
    """What follows once it is intended. Whoever knows anything of later versions has forgotten it."""
    handle = view.handle
    row = view.look(lambda snapshot: snapshot.version_row(version))

    def values_at(txn: lmdb.Transaction[bytes], keys: list[bytes]) -> list[tuple[bytes, bytes | None]]:
        inside = Snapshot(handle.env, handle.tables, txn)
        values = [(key, value_in(tree, inside.nodes, inside.value_row, row, key)) for key in keys]
        inside.close()
        return values

    view.write("rolling back", steps(handle.begin, handle.tables, version, values_at))


def steps(begin: Begin, tables: Tables, version: int, values_at: ValuesAt) -> Iterator[int]:
    """Parts 2 to 4; each next() is one transaction, begun by `begin`, and returns how many rows it touched.

    values_at: keys as pairs with their values in that version, read in the transaction it is given."""
    yield from _restore_flat(begin, tables, version, values_at)
    yield from bodies.cut_off_steps(begin, tables, version)
    for table in ("nodes", "values", "stale", "versions"):
        yield from _cut_off(begin, tables, table, version)
    with begin() as txn:
        flat = marks.read(txn, tables, marks.FLAT)
        assert flat is not None, "every state has this mark"
        marks.write(txn, tables, marks.FLAT, min(flat, version))
        marks.write(txn, tables, marks.ROLLBACK, None)
    yield 1


def _restore_flat(begin: Begin, tables: Tables, version: int, values_at: ValuesAt) -> Iterator[int]:
    at: bytes | None = u64(version + 1)
    while at is not None:
        with begin() as txn:
            keys, at = _written_from(txn, tables, at)
            catchup.write(txn, tables, values_at(txn, sorted(keys)))
        yield len(keys)


def _written_from(txn: lmdb.Transaction[bytes], tables: Tables, at: bytes) -> tuple[set[bytes], bytes | None]:
    """The raw keys of STEP rows of table `values` from `at` on, and where to go on."""
    keys: set[bytes] = set()
    with txn.cursor(tables["values"]) as cursor:
        begins = cursor.set_range(at)
        catchup.check_before(cursor, begins, at)
        if begins:
            for row_key, row in cursor.iternext():
                if len(keys) == STEP:
                    return keys, row_key
                keys.add(decode_value(row_key, row)[0])
    return keys, None


def _cut_off(begin: Begin, tables: Tables, table: str, version: int) -> Iterator[int]:
    """Delete the rows of versions above `version`: the last ones, from the last one back, which moves no others."""
    while True:
        with begin() as txn, txn.cursor(tables[table]) as cursor:
            deleted = 0
            while deleted < 4 * STEP and cursor.last() and cursor.key() >= u64(version + 1):
                cursor.delete()
                deleted += 1
        if not deleted:
            return
        yield deleted
