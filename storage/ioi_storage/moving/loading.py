"""A new state of more pairs than fit into memory, which come in any order.

Table `values` has them in the order of their key hashes once they are written, which is the order that a tree of key
hashes is built in; so the state sorts itself. For trees whose root follows from the pairs alone (Jellyfish).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import lmdb

from ..disk.environment import Tables, open_tables, translated
from ..disk.making import Pairs, WriteFirst
from ..disk.rows import Creation, VersionRow, decode_value
from ..errors import RootMismatch
from ..trees.keys import check_key
from ..trees.seam import Leaf, Tree, tree_named
from .genesis import NO_RECEIPTS
from .writer import Writer


def loader(tree: str, meta: dict[str, Any], pairs: Pairs, height: int, root: bytes | None) -> WriteFirst:
    """What writes version 0. Pairs are checked as they come."""
    plugin, creation = tree_named(tree), Creation(tree, b"", meta)
    row = VersionRow(0, b"", NO_RECEIPTS, height, b"", 0, 0, 0, 0, b"")

    def write_first(env: lmdb.Environment, path: str | None) -> None:
        with translated("writing version 0", path):
            write(env, open_tables(env, create=True), plugin, pairs, creation, row, root)

    return write_first


def write(
    env: lmdb.Environment,
    tables: Tables,
    tree: Tree,
    pairs: Pairs,
    creation: Creation,
    row: VersionRow,
    root: bytes | None,
) -> None:
    """creation, row: of version 0, all but roots, head and keys. ValueError names a key that cannot be, or occurs twice;
    RootMismatch unless the root is `root`."""
    writer = Writer(env, tables)
    for key, value in pairs:
        check_key(key)
        writer.pair(0, sha256(key).digest(), key, value)
    writer.flush()
    with env.begin() as txn:
        head = writer.tree(tree.rebuild(_leaves(txn, tables, tree), 0))
    if root is not None and head.root != root:
        raise RootMismatch(f"these keys have the root {head.root.hex()}, expected was {root.hex()}: no state was created")
    row = row._replace(root=head.root, head=head.pointer, keys=writer.keys, writes=writer.keys)
    writer.end(creation._replace(genesis_root=head.root), row)


def _leaves(txn: lmdb.Transaction[bytes], tables: Tables, tree: Tree) -> Iterator[Leaf]:
    with txn.cursor(tables["values"]) as cursor:
        for row_key, row in cursor:
            key, value = decode_value(row_key, row)
            assert value is not None, "a new state has no deletes"
            yield tree.leaf(key, row_key[8:], b"", sha256(value).digest(), 0)
