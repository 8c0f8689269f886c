"""Marks: what is true of a state as a whole and changes without a new version. Table `marks`: name -> u64 | seal.

    flat      the flat table holds every write up to this version; those of later versions lag behind (latest/lag.py)
    oldest    the oldest version that can be read; what only older ones needed is being deleted
    rollback  there only while a rollback is unfinished: the version it goes back to
    found     table `found` has every transaction up to this version; absent: none
    rollbacks how many there were, absent if none: a version seen before the last one may be another by now
"""

from __future__ import annotations

import lmdb

from ..errors import corrupt
from ..trees.keys import u64
from .environment import Tables
from .rows import seal, unseal

FLAT = b"flat"
OLDEST = b"oldest"
ROLLBACK = b"rollback"
ROLLBACKS = b"rollbacks"
FOUND = b"found"
NAMES = (FLAT, OLDEST, ROLLBACK, ROLLBACKS, FOUND)


def read(txn: lmdb.Transaction[bytes], tables: Tables, name: bytes) -> int | None:
    row = txn.get(name, db=tables["marks"])
    if row is None:
        for key, _ in txn.cursor(tables["marks"]):
            if key not in NAMES:  # it may be this mark, its name damaged
                raise corrupt("marks", key, "there is no such mark")
        return None
    body = unseal("marks", name, row)
    if len(body) != 8:
        raise corrupt("marks", name, "wrong size")
    return int.from_bytes(body, "big")


def write(txn: lmdb.Transaction[bytes], tables: Tables, name: bytes, value: int | None) -> None:
    """None removes it."""
    if value is None:
        txn.delete(name, db=tables["marks"])
    else:
        txn.put(name, seal(name, u64(value)), db=tables["marks"])
