"""Small states, the same each time, whose rows, proofs and snapshots fuzzing begins with."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import count

from ioi_storage import Store

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files are made that are written over and over."""

TREES = ("jellyfish", "iavl")
STATE = {b"key/%d" % number: b"value %d" % number * (number % 4) for number in range(12)}
STATES = [(tree, state) for tree in TREES for state in ({}, {b"a": b"1"}, STATE)]


def store(tree: str, state: dict[bytes, bytes]) -> Store:
    """In memory, with two versions after genesis where the state is not empty."""
    made = Store.create(None, tree=tree, meta={"vm": "x"}, genesis=state.items())
    for key, version in zip(sorted(state)[:2], count()):
        commit(made, {key: b"changed %d" % version, b"new/%d" % version: b"new"})
    return made


def commit(made: Store, writes: dict[bytes, bytes | None]) -> None:
    staged = made.stage(sorted(writes.items()))
    made.commit(staged, receipts_root=bytes(32), height=made.version + 1, header=b"", transactions=1, failed=0)


@lru_cache(maxsize=None)
def known(tree: str) -> tuple[Store, dict[bytes, bytes]]:
    """One that stays open, and what is in it."""
    made = store(tree, STATE)
    return made, dict(made.scan())
