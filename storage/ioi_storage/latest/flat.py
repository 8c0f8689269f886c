"""Reading the flat table: the latest value of every key, in key order.

A lookup that finds a row checks its seal. One that finds none is checked too: were a stored key damaged, a search would
miss it. In a sorted page with one damaged key, a search ends right beside that key, so the rows on both sides of the
gap must have good seals and enclose the key sought.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lmdb

from .. import _core
from ..disk.rows import unseal
from ..errors import corrupt
from ..trees.keys import check_key


def get(cursor: lmdb.Cursor[bytes], key: bytes) -> bytes | None:
    row = cursor.get(key)
    if row is None:
        check_key(key)  # one that is there is right
        _check_gap(cursor, key)
        return None
    value = _core.unseal(key, row)
    return value if value is not None else unseal("flat", key, row)


def getmulti(cursor: lmdb.Cursor[bytes], keys: Sequence[bytes]) -> list[bytes | None]:
    """The values of `keys`; fastest when they ascend."""
    pairs = cursor.getmulti(keys)
    values, damaged = _core.unseal_found(keys, pairs)
    if damaged is not None:
        raise corrupt("flat", damaged, "its checksum does not match")
    if len(pairs) < len(keys):
        for key, value in zip(keys, values):
            if value is None:
                _check_gap(cursor, key)
    return values


def _check_gap(cursor: lmdb.Cursor[bytes], key: bytes) -> None:
    """StateCorrupt unless the rows around the absent `key` are whole. Leaves the cursor on the row before, if any."""
    if cursor.set_range(key):
        after, row = cursor.item()
        unseal("flat", after, row)
        if after <= key:
            raise corrupt("flat", after, "it is out of order")
        before_exists = cursor.prev()
    else:
        before_exists = cursor.last()
    if before_exists:
        before, row = cursor.item()
        unseal("flat", before, row)
        if before >= key:
            raise corrupt("flat", before, "it is out of order")


def scan(cursor: lmdb.Cursor[bytes], start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
    """Pairs with start <= key < end, ascending or descending; None is no bound. Each is checked before it is compared."""
    if end is not None and end <= (start or b""):
        return
    if reverse:
        yield from _descend(cursor, start or b"", end)
    else:
        yield from _ascend(cursor, start or b"", end)


def _ascend(cursor: lmdb.Cursor[bytes], start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if start and cursor.get(start) is None:
        _check_gap(cursor, start)
    if not (cursor.set_range(start) if start else cursor.first()):
        return
    for key, row in cursor.iternext():
        value = unseal("flat", key, row)
        if end is not None and key >= end:
            return
        yield key, value


def _descend(cursor: lmdb.Cursor[bytes], start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if end is None:
        there = cursor.last()
    elif cursor.get(end) is not None:
        there = cursor.prev()
    else:
        _check_gap(cursor, end)
        there = cursor.prev() if cursor.set_range(end) else cursor.last()
    if not there:
        return
    for key, row in cursor.iterprev():
        value = unseal("flat", key, row)
        if key < start:
            return
        yield key, value
