"""Version 0: the rows of a new state.

Written in several transactions, since a million keys would not fit the dirty pages of one: nobody can see the state
until its directory is renamed in, so a half-written one is nothing.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import lmdb

from . import _core, commit, staged
from .environment import Tables
from .errors import StateCorrupt
from .rows import Creation, VersionRow, encode_creation, encode_version
from .staged import Staged
from .trees import Tree

NO_RECEIPTS = _core.merkle_root(b"", b"")

_CHUNK = 100_000  # rows a transaction

T = TypeVar("T")


def sorted_pairs(genesis: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The pairs ascending by key. ValueError names a duplicate key, TypeError a pair that is none."""
    pairs = list(genesis)
    for pair in pairs:
        if type(pair) is not tuple or len(pair) != 2 or type(pair[0]) is not bytes or type(pair[1]) is not bytes:
            raise TypeError(f"genesis must hold tuples (key, value) of bytes, not {pair!r}")
    pairs.sort()
    keys = [key for key, _ in pairs]
    for key, after in zip(keys, keys[1:]):
        if key == after:
            raise ValueError(f"genesis holds key {key.hex()} twice")
    return pairs


def stage(tree: Tree, pairs: Sequence[tuple[bytes, bytes]]) -> Staged:
    """Version 0 of a tree that holds `pairs`."""
    before = VersionRow(-1, tree.empty.root, NO_RECEIPTS, 0, b"", 0, 0, 0, 0, tree.empty.pointer)
    return staged.stage(tree, _nothing, before, pairs, builtins.map, None)


def _nothing(keys: Sequence[bytes]) -> Sequence[bytes]:
    raise StateCorrupt(f"an empty tree was asked for rows {[key.hex() for key in keys]}")


def write(env: lmdb.Environment, tables: Tables, version0: Staged, creation: Creation, row: VersionRow) -> None:
    """Everything of version 0; its record comes last."""
    for table, rows in (("nodes", version0.nodes), ("values", version0.values)):
        for chunk in _chunks(rows):
            with env.begin(write=True) as txn:
                commit.append(txn, tables, table, chunk)
    for changes in _chunks(version0.changes):
        with env.begin(write=True) as txn:
            commit.write_flat(txn, tables, changes)
    with env.begin(write=True) as txn:
        commit.append(txn, tables, "creation", [encode_creation(creation)])
        commit.append(txn, tables, "versions", [encode_version(row)])


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(rows)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def creation_record(tree: Tree, version0: Staged, meta: dict[str, Any]) -> Creation:
    return Creation(tree.name, version0.root, meta)
