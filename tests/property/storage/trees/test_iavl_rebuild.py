"""Rows rebuilt from a tree's leaves and inner nodes hold exactly that tree: read back by the layout of core/iavl.h alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple, Optional, Union

import pytest
import xxhash
from ioi_storage.trees import iavl_rebuild
from ioi_storage.trees.seam import Leaf, TreeHead
from naive_iavl import Node, put, remove, root_of, varint, zigzag

Rows = dict[bytes, bytes]


def parts(tree: Optional[Node]) -> Iterator[Union[Leaf, bytes]]:
    if tree is None:
        return
    if tree.left is None or tree.right is None:
        yield iavl_rebuild.leaf(tree.key, tree.meta(), sha256(tree.key).digest(), sha256(tree.value).digest())
        return
    yield from parts(tree.left)
    yield from parts(tree.right)
    yield tree.meta()


def rebuilt(tree: Iterator[Union[Leaf, bytes]]) -> tuple[TreeHead, Rows]:
    rows: Rows = {}
    last = b""
    building = iavl_rebuild.rebuild(tree, 7)
    while True:
        try:
            batch = list(next(building))
        except StopIteration as end:
            return end.value, rows
        for key, _ in batch:
            assert key > last and key[:8] == (7).to_bytes(8, "big")
            last = key
        rows.update(batch)


class Read(NamedTuple):
    height: int
    size: int
    version: int
    leaves: list[tuple[bytes, bytes, int]]  # key, value hash, version
    hash: bytes


class Reader:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.seen: set[bytes] = set()

    def row(self, key: bytes) -> Read:
        assert key not in self.seen
        self.seen.add(key)
        row = self.rows[key]
        assert xxhash.xxh3_64_digest(row[:-8]) == row[-8:]
        assert len(row) < 2040
        read, rest = self.node(row[:-8])
        assert rest == b""
        return read

    def number(self, data: bytes) -> tuple[int, bytes]:
        return (data[0], data[1:]) if data[0] < 128 else (lambda n, r: (data[0] & 127 | n << 7, r))(*self.number(data[1:]))

    def node(self, data: bytes, band: Optional[int] = None) -> tuple[Read, bytes]:
        kind, data = data[0], data[1:]
        height, size = 0, 1
        if kind != 0:
            height, data = self.number(data)
            size, data = self.number(data)
        version, data = self.number(data)
        meta = zigzag(height) + zigzag(size) + zigzag(version)
        assert kind == 2 or band is None or height // 4 == band
        if kind == 2:
            assert height // 4 != band
            there = self.row(data[:12])
            assert (there.height, there.size, there.version, there.hash) == (height, size, version, data[12:44])
            return there, data[44:]
        length, data = self.number(data)
        key, data = data[:length], data[length:]
        if kind == 0:
            value_hash, data = data[:32], data[32:]
            hash = sha256(meta + varint(length) + key + b"\x20" + value_hash).digest()
            return Read(0, 1, version, [(key, value_hash, version)], hash), data
        left, data = self.node(data, height // 4)
        right, data = self.node(data, height // 4)
        assert key == right.leaves[0][0]
        assert height == 1 + max(left.height, right.height) and size == left.size + right.size
        hash = sha256(meta + b"\x20" + left.hash + b"\x20" + right.hash).digest()
        return Read(height, size, version, left.leaves + right.leaves, hash), data


@pytest.mark.parametrize("seed", range(12))
def test_the_same_tree(seed: int) -> None:
    rng = random.Random(seed)
    keys = sorted({b"%d" % rng.randrange(10**6) for _ in range(rng.choice([1, 2, 9, 40, 500]))} | {b"\xff" * 300})
    tree: Optional[Node] = None
    for version in range(1, rng.randrange(2, 7)):
        for key in rng.sample(keys, len(keys) // 2 + 1):
            if tree is not None and rng.random() < 0.3:
                tree = remove(tree, key, version)
            else:
                tree = put(tree, key, rng.randbytes(3), version)
    head, rows = rebuilt(parts(tree))
    assert head.root == root_of(tree)
    if tree is None:
        assert head.pointer == b"" and rows == {}
        return
    reader = Reader(rows)
    read = reader.row(head.pointer)
    assert read.hash == head.root and reader.seen == set(rows)
    expected = [(leaf.key, sha256(leaf.value).digest(), leaf.version) for leaf in tree.leaves()]
    assert read.leaves == expected
    assert [part.version for part in parts(tree) if isinstance(part, Leaf)] == [version - 1 for _, _, version in expected]


def leaf(key: bytes, version: int = 1) -> Leaf:
    return iavl_rebuild.leaf(key, b"\0\2" + zigzag(version), bytes(32), bytes(32))


def meta(*numbers: int) -> bytes:
    return b"".join(map(zigzag, numbers))


@pytest.mark.parametrize(
    "wrong",
    [
        [leaf(b"b"), leaf(b"a"), meta(1, 2, 1)],
        [leaf(b"a"), leaf(b"a"), meta(1, 2, 1)],
        [leaf(b"a"), leaf(b"b"), meta(2, 2, 1)],
        [leaf(b"a"), leaf(b"b"), meta(1, 3, 1)],
        [leaf(b"a"), leaf(b"b"), leaf(b"c"), leaf(b"d"), meta(1, 2, 1), meta(2, 3, 1), meta(3, 4, 1)],
        [leaf(b"a"), leaf(b"b")],
        [leaf(b"a"), meta(1, 2, 1)],
    ],
)
def test_what_is_no_tree(wrong: list[Union[Leaf, bytes]]) -> None:
    with pytest.raises(ValueError):
        rebuilt(iter(wrong))


def test_a_leaf_is_no_inner_node() -> None:
    with pytest.raises(ValueError):
        iavl_rebuild.hash_inner(meta(0, 1, 1), bytes(32), bytes(32))
    with pytest.raises(ValueError):
        iavl_rebuild.hash_inner(meta(101, 1, 1), bytes(32), bytes(32))
    with pytest.raises(ValueError):
        iavl_rebuild.hash_inner(meta(1, 2, 1), None, bytes(32))
    for wrong in (meta(1, 1, 1), meta(0, 2, 1), meta(0, 1, 0), b"\0\2\1"):
        with pytest.raises(ValueError):
            iavl_rebuild.leaf(b"k", wrong, bytes(32), bytes(32))
