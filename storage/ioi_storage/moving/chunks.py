"""A state in chunks that prove themselves: each is checked against the root on its own, in any order once the top is known.

    chunk 0       the top of the tree, in which subtrees are named by their hashes alone
    chunk i > 0   the i-th of these subtrees, whole, keys and values in it

A chunk is a tree in pre-order after a byte with the format's number; it knows nothing of how a store cuts its rows:

    00                    an empty half, an empty tree
    01 hash 32            in the top: a subtree that is a chunk
    02 [meta]             an inner node; its halves follow, smaller places first
    03 [meta] size key size value        a leaf

Meta is what hashes cover besides: of IAVL height, size and version, as zigzag varints; of Jellyfish nothing. Sizes are
varints. There is one encoding of everything: varints are no longer than need be, and nothing follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple, Optional, Union

from ..errors import StorageError
from ..trees.keys import KEY_LIMIT
from ..trees.seam import Inner, Leaf, Node, ReadNodes, Tree
from ..trees.varint import varint

CHUNK_BYTES = 4 << 20
"""About how long a chunk is made; one with a single key may be longer."""
CHUNK_LIMIT = 64 << 20
"""No chunk is longer, and none is accepted."""

_FORMAT = 1
_EMPTY, _STUB, _INNER, _LEAF = range(4)
_DEPTH_LIMIT = 256  # of the deepest tree there can be (Jellyfish; IAVL stays below 100)


class Chunk(NamedTuple):
    number: int
    data: bytes
    keys: int  # in it


# ---- making them ----

PairOf = Callable[[Leaf], "tuple[bytes, bytes]"]


def cut(tree: Tree, read: ReadNodes, pair_of: PairOf, top: Node | None, keys: int, size: int) -> Iterator[Chunk]:
    """The chunks of a tree with this many keys, each of about `size` bytes or less; chunk 0 comes last, when all is known.

    Holds one chunk at a time. A subtree is tried as a chunk when it should fit, going by the number of keys; one that
    does not is given up, and its halves are tried."""
    out = bytearray([_FORMAT])
    waiting: list[tuple[Node | None, float]] = [(top, float(keys))]
    number, bytes_a_key = 0, 64.0
    while waiting:
        node, guess = waiting.pop()
        if node is None:
            out.append(_EMPTY)
            continue
        if isinstance(node, Leaf) or guess * bytes_a_key <= 1.25 * size:
            data, count, is_whole = _subtree(tree, read, pair_of, node, size)
            bytes_a_key += (len(data) / max(count, 1) - bytes_a_key) / 2
            if is_whole:
                number += 1
                out.append(_STUB)
                out += node.hash
                yield Chunk(number, _checked(data), count)
                continue
        assert isinstance(node, Inner), "a leaf is always whole"
        out.append(_INNER)
        out += node.meta
        left, right = tree.split(read, node)
        waiting += [(right, guess / 2), (left, guess / 2)]
    yield Chunk(0, _checked(out), 0)


def _checked(data: bytearray) -> bytes:
    if len(data) > CHUNK_LIMIT:
        raise StorageError(
            f"a chunk would have {len(data)} bytes, at most {CHUNK_LIMIT} are allowed: a value is too large, or the chunks are "
            "made so small that the list of them is"
        )
    return bytes(data)


def _subtree(tree: Tree, read: ReadNodes, pair_of: PairOf, node: Node, size: int) -> tuple[bytearray, int, bool]:
    """(its encoding, how many keys, whether it is whole): given up when it gets longer than `size`, a single leaf apart."""
    out, count = bytearray([_FORMAT]), 0
    waiting: list[Node | None] = [node]
    while waiting:
        at = waiting.pop()
        if at is None:
            out.append(_EMPTY)
        elif isinstance(at, Leaf):
            key, value = pair_of(at)
            out.append(_LEAF)
            out += at.meta
            out += varint(len(key))
            out += key
            out += varint(len(value))
            out += value
            count += 1
        else:
            out.append(_INNER)
            out += at.meta
            left, right = tree.split(read, at)
            waiting += [right, left]
        if len(out) > size and not isinstance(node, Leaf):
            return out, count, False
    return out, count, True


# ---- reading them, whatever they hold ----


class Stub(NamedTuple):
    """A subtree that the top names."""

    hash: bytes


class Pair(NamedTuple):
    """A leaf with what it stands for."""

    leaf: Leaf
    key: bytes
    value: bytes


Part = Union[Pair, Stub, bytes]
"""A leaf, a subtree, or the meta (if any) of an inner node, whose halves came before it."""


class Malformed(Exception):
    """Why bytes are no chunk."""


def read_chunk(
    tree: Tree, data: bytes, version: int, *, top: bool, each: Callable[[Part], object] = lambda part: None
) -> bytes:
    """Its root. version: of the state that it is part of. Malformed says why it is no chunk.

    top: whether it is the top, which has stubs and no leaves; all others have leaves and no stubs. each: called with its
    parts in order, children before their parent. They take a hundred times the bytes they are read from: whoever collects
    them should know the root."""
    reader = _Reader(data)
    if reader.byte() != _FORMAT:
        raise Malformed("it does not begin as a chunk does, or as one of another release")
    opened: list[tuple[bytes, list[Optional[bytes]]]] = []  # inner nodes: (meta, hashes of the halves read so far)
    while True:
        kind = reader.byte()
        hash: bytes | None = None
        if kind == _INNER:
            if len(opened) == _DEPTH_LIMIT:
                raise Malformed("it is deeper than a tree can be")
            opened.append((reader.numbers(tree.meta_numbers), []))
            continue
        if kind == _LEAF and not top:
            pair = _read_leaf(tree, reader, version)
            hash = pair.leaf.hash
            each(pair)
        elif kind == _STUB and top:
            hash = reader.take(32)
            each(Stub(hash))
        elif kind != _EMPTY:
            raise Malformed(f"there is something of kind {kind}, which is not part of {'the top' if top else 'such a chunk'}")
        while opened:
            meta, halves = opened[-1]
            halves.append(hash)
            if len(halves) == 1:
                break
            opened.pop()
            try:
                hash = tree.hash_inner(meta, *halves)
            except ValueError as error:
                raise Malformed(str(error)) from None
            if meta:
                each(meta)
        else:
            if reader.at != len(data):
                raise Malformed("something follows its end")
            return tree.empty.root if hash is None else hash


def _read_leaf(tree: Tree, reader: _Reader, version: int) -> Pair:
    meta = reader.numbers(tree.meta_numbers)
    key = reader.take(reader.number())
    if not 1 <= len(key) <= KEY_LIMIT:
        raise Malformed(f"a key has {len(key)} bytes")
    value = reader.take(reader.number())
    key_hash, value_hash = sha256(key).digest(), sha256(value).digest()
    try:
        return Pair(tree.leaf(key, key_hash, meta, value_hash, version), key, value)
    except ValueError as error:
        raise Malformed(str(error)) from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise Malformed("it is cut off")
        taken, self.at = self._data[self.at : end], end
        return taken

    def byte(self) -> int:
        if self.at == len(self._data):
            raise Malformed("it is cut off")
        self.at += 1
        return self._data[self.at - 1]

    def number(self) -> int:
        """A varint of at most 64 bits, no longer than it needs to be."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if (byte == 0 and shift > 0) or value >= 1 << 64:
                    break
                return value
        raise Malformed("a number is longer than it needs to be, or than 64 bits")

    def numbers(self, count: int) -> bytes:
        """The bytes of this many varints."""
        begin = self.at
        for _ in range(count):
            self.number()
        return self._data[begin : self.at]
