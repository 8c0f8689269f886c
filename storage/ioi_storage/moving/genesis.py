"""Version 0: the rows of a new state.

Written in several transactions, since a million keys would not fit the dirty pages of one: nobody can see the state
until its directory is renamed in, so a half-written one is nothing.
"""

from __future__ import annotations

import builtins
import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

import lmdb

from .. import _core
from ..disk import commit, marks
from ..disk.environment import Tables, open_tables, translated
from ..disk.making import Pairs, WriteFirst
from ..disk.rows import Creation, VersionRow, encode_creation, encode_version
from ..errors import RootMismatch, StateCorrupt
from ..stand import Stand
from ..trees import staged
from ..trees.seam import Tree, tree_named
from ..trees.staged import Staged


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """A million small tuples, all live, make the collector walk them again and again: a tenth of the whole time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


NO_RECEIPTS = _core.merkle_root(b"", b"")

_CHUNK = 100_000  # rows a transaction

T = TypeVar("T")


def genesis_writer(tree: str, meta: dict[str, Any], pairs: Pairs, height: int, header: bytes, root: bytes | None) -> WriteFirst:
    """What writes version 0. Checks all arguments now: RootMismatch unless the root is `root`, if that is given."""
    plugin = tree_named(tree)
    version0 = stage(plugin, pairs)
    if root is not None and version0.root != root:
        raise RootMismatch(f"these keys have the root {version0.root.hex()}, expected was {root.hex()}: no state was created")
    creation = Creation(plugin.name, version0.root, meta)
    row = commit.version_row(
        version0, receipts_root=NO_RECEIPTS, height=height, header=header, transactions=0, failed=0
    )

    def write_first(env: lmdb.Environment, path: str | None) -> None:
        with translated("writing version 0", path):
            write(env, open_tables(env, create=True), version0, creation, row)

    return write_first


def stage(tree: Tree, genesis: Pairs) -> Staged:
    """Version 0 of a tree that holds the pairs of `genesis`, which come in any order.

    ValueError names a duplicate key, TypeError a pair that is none."""
    pairs = list(genesis)
    try:
        pairs.sort(key=itemgetter(0))
    except (TypeError, LookupError):
        raise TypeError("genesis must hold tuples (key, value) of bytes") from None
    before = VersionRow(-1, tree.empty.root, NO_RECEIPTS, 0, b"", 0, 0, 0, 0, tree.empty.pointer)
    nowhere = Stand(0, 0, 0, before.version, before.root)
    version0 = staged.stage(tree, _nothing, nowhere, before, pairs, builtins.map, None)
    if version0.keys != len(pairs):
        raise TypeError("genesis must hold values: None, a delete, has no meaning there")
    return version0


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
            commit.append(txn, tables, "flat", _core.seal_puts(changes))
    with env.begin(write=True) as txn:
        commit.append(txn, tables, "creation", [encode_creation(creation)])
        commit.append(txn, tables, "versions", [encode_version(row)])
        marks.write(txn, tables, marks.FLAT, row.version)
        marks.write(txn, tables, marks.OLDEST, row.version)


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(rows)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
