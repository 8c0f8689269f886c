"""A new state of more pairs than fit into memory, which come in any order.

Table `values` has them in the order of their key hashes once they are written, which is the order that a tree of key
hashes is built in; so the state sorts itself. For trees whose root follows from the pairs alone (Jellyfish).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

import lmdb

from ..disk.environment import Tables
from ..disk.rows import KEY_LIMIT, Creation, VersionRow, decode_value
from ..disk.writer import Writer
from ..errors import RootMismatch
from ..trees.seam import Leaf, Tree


def write(
    env: lmdb.Environment,
    tables: Tables,
    tree: Tree,
    pairs: Iterable[tuple[bytes, bytes]],
    creation: Creation,
    row: VersionRow,
    root: bytes | None,
) -> None:
    """creation, row: of version 0, all but roots, head and keys. ValueError names a key that cannot be, or occurs twice;
    RootMismatch unless the root is `root`."""
    writer = Writer(env, tables)
    for key, value in pairs:
        if not 1 <= len(key) <= KEY_LIMIT:
            raise ValueError(f"a key has 1 to {KEY_LIMIT} bytes, this one {len(key)}")
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
