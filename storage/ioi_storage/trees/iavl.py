"""The IAVL tree: roots byte-equal to cosmos/iavl v1, whose versions begin with 1 where ours begin with 0.

A balanced binary tree in the order of keys; its shape depends on the order of writes, which here is ascending by key.
Several heights share a row (core/iavl_node.h), named by the version that wrote it and a number:

        o                 row: a node and what is below it, down to the next band of four heights
       / \\
      o   o               a node knows height, size and version of what stands in rows below, without reading them
     / \\ / \\
    rows of the band below

Pure: rows are read through a callable and returned, never written. Applying a batch is in C (core/iavl.h).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from .. import _core
from ..errors import corrupt
from . import iavl_rebuild
from .seam import (
    Inner,
    Leaf,
    Map,
    Node,
    ReadNodes,
    Rows,
    TreeHead,
    TreeUpdate,
    register,
)

ROW_KEY_BYTES = 12  # version u64, number u32: IAVL_ROW_KEY of core/iavl_node.h


class Iavl:
    name = "iavl"
    empty = iavl_rebuild.EMPTY
    ordered = True
    meta_numbers = 3

    def memory(self) -> None:
        return None

    def stage(
        self, read: ReadNodes, parent: TreeHead, batch: _core.Writes, entries: bytes, version: int, map: Map, memory: None
    ) -> TreeUpdate:
        if len(parent.pointer) not in (0, ROW_KEY_BYTES):  # it is a record's word
            raise corrupt("nodes", parent.pointer, f"the key of a row has {ROW_KEY_BYTES} bytes")
        # In one piece: a write may turn what the writes before it made.
        stage = _core.IavlStage(parent.root, parent.pointer, batch, entries, version + 1)
        while keys := stage.wanted():
            bad = stage.feed(read(keys))
            if bad is not None:
                raise corrupt("nodes", keys[bad[0]], bad[1])
        root, pointer, rows, stale, effects = stage.close()
        return TreeUpdate(TreeHead(root, pointer), _core.Rows([rows]), [stale], effects)

    def place(self, key: bytes) -> bytes:
        return key

    def find(self, read: ReadNodes, head: TreeHead, place: bytes) -> Leaf | None:
        if not head.pointer:
            return None
        key, expected = head.pointer, head.root
        while True:
            row = _row(read, key, expected)
            node = _node(row, row.find(place))
            if isinstance(node, Leaf):
                return node if node.place == place else None
            assert node.row is not None, "a search ends at a leaf, or where another row goes on"
            key, expected = node.row, node.hash

    def top(self, read: ReadNodes, head: TreeHead) -> Node | None:
        if not head.pointer:
            return None
        node = _node(_row(read, head.pointer, head.root), 0)
        return node if isinstance(node, Leaf) else node._replace(row=head.pointer)

    def split(self, read: ReadNodes, inner: Inner) -> tuple[Node, Node]:
        row, _, left, right = _inside(read, inner)
        return _node(row, left), _node(row, right)

    def middle(self, read: ReadNodes, inner: Inner) -> bytes:
        return _inside(read, inner).key

    def unfold(
        self, read: ReadNodes, inner: Inner, shown: Sequence[bytes], first: int, last: int
    ) -> Iterator[bytes | tuple[Node, int, int]]:
        """See trees.Unfold."""
        assert inner.row is not None
        row = _row(read, inner.row, inner.hash)
        for piece in row.unfold(shown, first, last):
            if isinstance(piece, bytes):
                yield piece
            else:
                number, begin, end = piece
                yield _node(row, number), begin, end

    def leaf(self, key: bytes, key_hash: bytes, meta: bytes, value_hash: bytes, version: int) -> Leaf:
        return iavl_rebuild.leaf(key, meta, key_hash, value_hash)

    def hash_inner(self, meta: bytes, left: bytes | None, right: bytes | None) -> bytes:
        return iavl_rebuild.hash_inner(meta, left, right)

    def rebuild(self, parts: Iterator[Leaf | bytes], version: int) -> Generator[Rows, None, TreeHead]:
        return (yield from iavl_rebuild.rebuild(parts, version))


class _Inside(NamedTuple):
    """An inner node in its row: the smallest key of its right half, and the numbers of its halves."""

    row: _core.IavlRow
    key: bytes
    left: int
    right: int


def _inside(read: ReadNodes, inner: Inner) -> _Inside:
    if inner.handle is not None:
        inside: _Inside = inner.handle
        return inside
    assert inner.row is not None
    row = _row(read, inner.row, inner.hash)
    begun = _node(row, 0)
    if isinstance(begun, Leaf):
        raise corrupt("nodes", inner.row, "it has a leaf where an inner node should be")
    handle: _Inside = begun.handle
    return handle


def _row(read: ReadNodes, key: bytes, expected: bytes) -> _core.IavlRow:
    (data,) = read([key])
    try:
        row = _parsed(data)
    except ValueError as error:
        raise corrupt("nodes", key, str(error)) from None
    if row.node(0)[0] != expected:
        raise corrupt("nodes", key, "its hash is not the one recorded for it")
    return row


@lru_cache(maxsize=64)
def _parsed(data: bytes) -> _core.IavlRow:
    """Whoever walks comes to a row more than once: for its middle, its halves, its neighbours."""
    return _core.IavlRow(data)


def _node(row: _core.IavlRow, number: int) -> Node:
    hash, meta, version, key, value_hash, left, right = row.node(number)
    if value_hash is not None:
        return Leaf(hash, key, meta, version - 1, sha256(key).digest(), value_hash)
    if left is None or right is None:
        return Inner(hash, meta, key, None)
    return Inner(hash, meta, None, _Inside(row, key, left, right))


register(Iavl())
