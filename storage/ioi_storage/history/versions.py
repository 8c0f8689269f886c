"""Reading a kept version through its tree: every value checked against the leaf that vouches for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ..disk.rows import VersionRow, decode_value
from ..errors import corrupt
from ..latest.snapshot import RowReader
from ..trees import walk
from ..trees.keys import value_key
from ..trees.seam import Leaf, ReadNodes, Tree, TreeHead

ReadValue = Callable[[bytes], bytes]
"""The row of table `values` with this key; raises StateCorrupt if it is missing."""


def value_in(tree: Tree, nodes: ReadNodes, value_row: ReadValue, row: VersionRow, key: bytes) -> bytes | None:
    """The value of `key` in the version recorded by `row`, every row on the way checked."""
    leaf = tree.find(nodes, TreeHead(row.root, row.head), tree.place(key))
    return None if leaf is None else value_of(leaf, value_row)[1]


def value_of(leaf: Leaf, value_row: ReadValue) -> tuple[bytes, bytes]:
    """(key, value) of a leaf, checked against it."""
    row_key = value_key(leaf.version, leaf.key_hash)
    key, value = decode_value(row_key, value_row(row_key))
    if hashlib.sha256(key).digest() != leaf.key_hash or value is None or hashlib.sha256(value).digest() != leaf.value_hash:
        raise corrupt("values", row_key, "it is not the value recorded in the tree")
    return key, value


def pairs(
    tree: Tree, rows: RowReader, row: VersionRow, start: bytes | None, end: bytes | None, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Those of a version with start <= place < end, in the order of the tree; None is no bound."""
    row = rows.same(row)
    for leaf in walk.leaves(tree, rows.nodes, TreeHead(row.root, row.head), start, end, reverse):
        yield value_of(leaf, rows.value)
