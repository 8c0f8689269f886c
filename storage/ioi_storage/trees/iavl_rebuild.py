"""Making an IAVL tree of leaves and inner nodes that came from elsewhere: one pass, rows written as they are complete.

What is read comes children before their parent, so a stack of the subtrees that wait for their other half is all there
is to hold. A subtree is kept as the bytes of its topmost row, not yet ended; when its parent turns out to be in another
band (storage/core/iavl.h has the layout of rows), the row ends, and a reference takes its place:

    [leaf][leaf] -> [inner leaf leaf] ... [inner inner leaf leaf leaf] | band | -> row n, [elsewhere n]
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from hashlib import sha256
from typing import NamedTuple

from .. import _core
from .seam import Leaf, Rows, TreeHead
from .varint import varint

_BAND = 4  # heights that share a row
_LEAF, _INNER, _ELSEWHERE = b"\0", b"\1", b"\2"
_BATCH = 1_000  # rows handed on together
_LEAF_META = b"\0\2"  # height 0, size 1, then the version
_HEIGHT_LIMIT = 100
EMPTY = TreeHead(sha256(b"").digest(), b"")


def leaf(key: bytes, meta: bytes, key_hash: bytes, value_hash: bytes) -> Leaf:
    """Of a tree. ValueError unless `meta` is a leaf's."""
    if meta[:2] != _LEAF_META:
        raise ValueError("a leaf must have height 0 and size 1")
    _, _, version = _numbers(meta)
    if version < 1:
        raise ValueError("a leaf of a version that never was")
    hash = sha256(meta + varint(len(key)) + key + b"\x20" + value_hash).digest()
    return Leaf(hash, key, meta, version - 1, key_hash, value_hash)


def hash_inner(meta: bytes, left: bytes | None, right: bytes | None) -> bytes:
    """ValueError unless it can be an inner node: what has height 0 could be taken for a leaf."""
    if left is None or right is None:
        raise ValueError("an inner node must have both halves")
    height, _, _ = _numbers(meta)
    if not 1 <= height <= _HEIGHT_LIMIT:
        raise ValueError(f"an inner node cannot have height {height}")
    return sha256(meta + b"\x20" + left + b"\x20" + right).digest()


class _Subtree(NamedTuple):
    height: int
    size: int
    version: int
    smallest: bytes  # key
    hash: bytes
    row: bytes  # begun, and to be ended


def rebuild(parts: Iterator[Leaf | bytes], version: int) -> Generator[Rows, None, TreeHead]:
    """The rows of the tree, all of this version. parts: leaves, and the meta of inner nodes after both halves.

    ValueError if they do not make an IAVL tree."""
    waiting: list[_Subtree] = []
    rows: list[tuple[bytes, bytes]] = []
    head, count, last = version.to_bytes(8, "big"), 0, b""

    def ended(tree: _Subtree) -> bytes:
        nonlocal count
        count += 1
        key = head + count.to_bytes(4, "big")
        rows.append((key, _core.seal(b"", tree.row)))
        return key

    def inside(tree: _Subtree, height: int) -> bytes:
        """What stands for it in the row of a parent of this height."""
        if tree.height // _BAND == height // _BAND:
            return tree.row
        return _ELSEWHERE + _plain(tree.height, tree.size, tree.version) + ended(tree) + tree.hash

    for part in parts:
        if isinstance(part, Leaf):
            if part.place <= last:
                raise ValueError(f"key {part.place.hex()} is out of order")
            last = part.place
            written = part.version + 1
            row = _LEAF + _plain(written, len(last)) + last + part.value_hash
            waiting.append(_Subtree(0, 1, written, last, part.hash, row))
            continue
        if len(waiting) < 2:
            raise ValueError("an inner node has no halves")
        right, left = waiting.pop(), waiting.pop()
        height, size, written = _numbers(part)
        if height != 1 + max(left.height, right.height) or size != left.size + right.size:
            raise ValueError("an inner node has not the height or size of its halves")
        if abs(left.height - right.height) > 1:
            raise ValueError("an inner node leans: no tree that is kept in balance has one")
        row = _INNER + _plain(height, size, written, len(right.smallest)) + right.smallest
        row += inside(left, height) + inside(right, height)
        waiting.append(_Subtree(height, size, written, left.smallest, hash_inner(part, left.hash, right.hash), row))
        if len(rows) >= _BATCH:
            yield rows
            rows = []
    if not waiting:
        return EMPTY
    if len(waiting) > 1:
        raise ValueError("the tree falls apart")
    (top,) = waiting
    pointer = ended(top)
    yield rows
    return TreeHead(top.hash, pointer)


def _numbers(meta: bytes) -> list[int]:
    """The three numbers of meta. ValueError if one is negative."""
    numbers, value, shift = [], 0, 0
    for byte in meta:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if value & 1:
                raise ValueError("height, size and version cannot be negative")
            numbers.append(value >> 1)
            value = shift = 0
    return numbers


def _plain(*numbers: int) -> bytes:
    return b"".join(map(varint, numbers))
