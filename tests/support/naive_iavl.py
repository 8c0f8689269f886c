"""cosmos/iavl v1 by its formulas (node.go, mutable_tree.go; reference/trees.md section 2): recursive, immutable, slow.

`put` and `remove` return a new tree; nodes made by them are of the version given. None is the empty tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Optional


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def zigzag(value: int) -> bytes:
    return varint(2 * value)


@dataclass(frozen=True)
class Node:
    key: bytes  # of an inner node: the smallest key of its right half
    version: int
    value: bytes = b""
    left: Optional[Node] = None
    right: Optional[Node] = None
    height: int = 0
    size: int = 1

    def meta(self) -> bytes:
        return zigzag(self.height) + zigzag(self.size) + zigzag(self.version)

    def hash(self) -> bytes:
        if self.left is None or self.right is None:
            body = varint(len(self.key)) + self.key + b"\x20" + sha256(self.value).digest()
        else:
            body = b"\x20" + self.left.hash() + b"\x20" + self.right.hash()
        return sha256(self.meta() + body).digest()

    def leaves(self) -> Iterator[Node]:
        if self.left is None or self.right is None:
            yield self
        else:
            yield from self.left.leaves()
            yield from self.right.leaves()


def root_of(tree: Optional[Node]) -> bytes:
    return sha256(b"").digest() if tree is None else tree.hash()


def inner(key: bytes, version: int, left: Node, right: Node) -> Node:
    return Node(key, version, b"", left, right, 1 + max(left.height, right.height), left.size + right.size)


def put(tree: Optional[Node], key: bytes, value: bytes, version: int) -> Node:
    leaf = Node(key, version, value)
    if tree is None:
        return leaf
    if tree.left is None or tree.right is None:
        if key == tree.key:
            return leaf
        return inner(tree.key, version, leaf, tree) if key < tree.key else inner(key, version, tree, leaf)
    if key < tree.key:
        changed = inner(tree.key, version, put(tree.left, key, value, version), tree.right)
    else:
        changed = inner(tree.key, version, tree.left, put(tree.right, key, value, version))
    return balanced(changed, version) if changed.size != tree.size else changed


def remove(tree: Optional[Node], key: bytes, version: int) -> Optional[Node]:
    """The same tree if the key is absent."""
    if tree is None or all(leaf.key != key for leaf in tree.leaves()):
        return tree
    return _remove(tree, key, version)[0]


def _remove(tree: Node, key: bytes, version: int) -> tuple[Optional[Node], Optional[bytes]]:
    """(what is left, the new smallest key if that was removed)"""
    if tree.left is None or tree.right is None:
        assert tree.key == key
        return None, None
    if key < tree.key:
        left, smallest = _remove(tree.left, key, version)
        if left is None:
            return tree.right, tree.key
        return balanced(inner(tree.key, version, left, tree.right), version), smallest
    right, smallest = _remove(tree.right, key, version)
    if right is None:
        return tree.left, None
    return balanced(inner(smallest or tree.key, version, tree.left, right), version), None


def balance(tree: Node) -> int:
    assert tree.left is not None and tree.right is not None
    return tree.left.height - tree.right.height


def rotate_right(tree: Node, version: int) -> Node:
    left = tree.left
    assert left is not None and left.left is not None and left.right is not None and tree.right is not None
    return inner(left.key, version, left.left, inner(tree.key, version, left.right, tree.right))


def rotate_left(tree: Node, version: int) -> Node:
    right = tree.right
    assert right is not None and right.left is not None and right.right is not None and tree.left is not None
    return inner(right.key, version, inner(tree.key, version, tree.left, right.left), right.right)


def balanced(tree: Node, version: int) -> Node:
    assert tree.left is not None and tree.right is not None
    if balance(tree) > 1:
        if balance(tree.left) < 0:
            tree = inner(tree.key, version, rotate_left(tree.left, version), tree.right)
        return rotate_right(tree, version)
    if balance(tree) < -1:
        if balance(tree.right) > 0:  # type: ignore[arg-type]
            tree = inner(tree.key, version, tree.left, rotate_right(tree.right, version))  # type: ignore[arg-type]
        return rotate_left(tree, version)
    return tree
