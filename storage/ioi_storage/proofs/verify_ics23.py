"""Verifying ICS23 proofs (ics23.py says what they look like) without a store and without the library of that name.

Stricter than ICS23: a proof must be in the one encoding there is of it, and must be the one proof there is of its claim,
so that every byte of it counts. What this accepts an ics23 library accepts too, with the spec of the tree.

    verify_absence(root, "jellyfish", b"key", proof)      returns nothing, or raises InvalidProof
"""

from __future__ import annotations

from hashlib import sha256
from typing import List, NamedTuple, Optional, Tuple

from .verify import PLACEHOLDER, InvalidProof, octets

_LENGTHS = {"jellyfish": 64, "iavl": 128}  # of paths, at most
_JELLYFISH_LEAF = b"\x08\1\x10\1\x18\1\x2a\x0dJMT::LeafNode"  # SHA-256 of key hash and value hash
_IAVL_LEAF = b"\x08\1\x18\1\x20\1\x2a"  # of key and value hash, with their lengths; the prefix follows
_INNER = b"\x08\1\x12"  # SHA-256; the prefix follows
_TAG = b"JMT::IntrnalNode"
_IAVL_NUMBERS = 11  # bytes of height, size and version of an inner node, at most


def verify_existence(root: bytes, tree: str, key: bytes, value: bytes, proof: bytes) -> None:
    """`key` has this value in the state with this root."""
    octets("the key", key)
    if not octets("the value", b"" if value is None else value):
        raise InvalidProof("ics23 has no proof of an empty value")
    message = _proof_of(root, tree, proof)
    leaf = _existence(root, tree, message.message(1, "a proof of existence"))
    message.end()
    if leaf.key != key:
        raise InvalidProof(f"the proof is about key {leaf.key.hex()}")
    if leaf.value != value:
        raise InvalidProof(f"key {key.hex()} has another value")


def verify_absence(root: bytes, tree: str, key: bytes, proof: bytes) -> None:
    """`key` is not in the state with this root."""
    octets("the key", key)
    outer = _proof_of(root, tree, proof)
    message = outer.message(2, "a proof of absence")
    outer.end()
    if message.need(1, "a key") != key:
        raise InvalidProof("the proof is about another key")
    left, right = (_existence(root, tree, _Message(found)) if found else None for found in (message.maybe(2), message.maybe(3)))
    message.end()
    place = _place(tree, key)
    if left is not None and not left.place < place:
        raise InvalidProof(f"key {left.key.hex()} is not left of key {key.hex()}")
    if right is not None and not place < right.place:
        raise InvalidProof(f"key {right.key.hex()} is not right of key {key.hex()}")
    empty = PLACEHOLDER if tree == "jellyfish" else None
    _check_neighbours(left.path if left else None, right.path if right else None, empty)


class _Step(NamedTuple):
    """An inner node above a leaf."""

    from_right: bool  # the leaf is in its right half
    other: bytes  # hash of the other half
    op: bytes


class _Leaf(NamedTuple):
    """A key that is proven to be there."""

    place: bytes
    key: bytes
    value: bytes
    path: List[_Step]  # from the root


def _check_neighbours(left: Optional[List[_Step]], right: Optional[List[_Step]], empty: Optional[bytes]) -> None:
    """Nothing stands between the leaves at the ends of two paths from one root; a path that is None is an end of the tree.

    empty: what the hash of a half is that holds nothing, if there is such a half."""
    if left is None and right is None:
        raise InvalidProof("the proof shows no key beside the absent one")
    if left is not None and right is not None:
        at = 0
        while at < min(len(left), len(right)) and left[at].op == right[at].op:
            at += 1
        if at == min(len(left), len(right)) or left[at].from_right or not right[at].from_right:
            raise InvalidProof("the keys shown are not neighbours")
        left, right = left[at + 1 :], right[at + 1 :]
    for path, rightmost in ((left, True), (right, False)):
        for step in path or []:
            if step.from_right != rightmost and step.other != empty:
                raise InvalidProof("the proof leaves out what is between a key shown and the absent one")


def _existence(root: bytes, tree: str, message: _Message) -> _Leaf:
    key, value = message.need(1, "a key"), message.need(2, "a value")
    leaf_op, ops = message.need(3, "a leaf"), []
    while op := message.maybe(4):
        ops.append(op)
    message.end()
    if len(ops) > _LENGTHS[tree]:
        raise InvalidProof("a path is longer than the spec allows")
    hash, steps = (_jellyfish if tree == "jellyfish" else _iavl)(key, value, leaf_op, ops)
    if hash != root:
        raise InvalidProof(f"the proof is of another state: its root is {hash.hex()}, expected was {root.hex()}")
    return _Leaf(_place(tree, key), key, value, steps[::-1])


def _jellyfish(key: bytes, value: bytes, leaf_op: bytes, ops: List[bytes]) -> Tuple[bytes, List[_Step]]:
    """(root, steps from the leaf)"""
    if leaf_op != _JELLYFISH_LEAF:
        raise InvalidProof("a leaf is not one of a Jellyfish tree")
    place = sha256(key).digest()
    hash = sha256(b"JMT::LeafNode" + place + sha256(value).digest()).digest()
    steps = []
    for bit, op in zip(range(len(ops) - 1, -1, -1), ops):
        prefix, suffix = _parts(op)
        from_right = bool(place[bit // 8] & 0x80 >> bit % 8)
        other = prefix[len(_TAG) :] if from_right else suffix
        if prefix != (_TAG + other if from_right else _TAG) or len(other) != 32 or (from_right and suffix):
            raise InvalidProof("a node is not one of a Jellyfish tree, or its key is not below it")
        steps.append(_Step(from_right, other, op))
        hash = sha256(prefix + hash + suffix).digest()
    return hash, steps


def _iavl(key: bytes, value: bytes, leaf_op: bytes, ops: List[bytes]) -> Tuple[bytes, List[_Step]]:
    """(root, steps from the leaf)"""
    if not leaf_op.startswith(_IAVL_LEAF):
        raise InvalidProof("a leaf is not one of an IAVL tree")
    message = _Message(leaf_op[len(_IAVL_LEAF) - 1 :])
    prefix = message.need(5, "a prefix")
    message.end()
    height, size, end = _numbers(prefix)
    if (height, size) != (0, 1) or end != len(prefix):
        raise InvalidProof("a leaf is not one of an IAVL tree")
    hash = sha256(prefix + _varint(len(key)) + key + b"\x20" + sha256(value).digest()).digest()
    steps = []
    for op in ops:
        prefix, suffix = _parts(op)
        below = height, size
        height, size, end = _numbers(prefix)
        if height <= below[0] or size <= below[1] or end > _IAVL_NUMBERS:
            raise InvalidProof("a node has not the height or size of a node above others, or longer numbers than the spec allows")
        from_right = not suffix
        other = prefix[end + 1 : -1] if from_right else suffix[1:]
        marked = b"\x20" + other + b"\x20" if from_right else b"\x20"
        if prefix[end:] != marked or len(other) != 32 or suffix != (b"" if from_right else b"\x20" + other):
            raise InvalidProof("a node is not one of an IAVL tree")
        steps.append(_Step(from_right, other, op))
        hash = sha256(prefix + hash + suffix).digest()
    return hash, steps


def _place(tree: str, key: bytes) -> bytes:
    return sha256(key).digest() if tree == "jellyfish" else bytes(key)


def _numbers(prefix: bytes) -> Tuple[int, int, int]:
    """(height, size, where the version ends) of an IAVL node: zigzag varints, none negative."""
    height, at = _read_varint(prefix, 0)
    size, at = _read_varint(prefix, at)
    version, at = _read_varint(prefix, at)
    if (height | size | version) & 1:
        raise InvalidProof("a number is negative")
    return height >> 1, size >> 1, at


def _parts(op: bytes) -> Tuple[bytes, bytes]:
    """Prefix and suffix of an InnerOp."""
    if not op.startswith(_INNER):
        raise InvalidProof("a node is not hashed as it should be")
    message = _Message(op[len(_INNER) - 1 :])
    prefix, suffix = message.need(2, "a prefix"), message.maybe(3)
    message.end()
    return prefix, suffix


# ---- protobuf ----


class _Message:
    """A message of length-delimited fields, in the one encoding that ascends and leaves out what is empty."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def maybe(self, field: int) -> bytes:
        """What follows, if it is this field, else nothing."""
        if self._data[self._at : self._at + 1] != bytes([field << 3 | 2]):
            return b""
        size, begin = _read_varint(self._data, self._at + 1)
        self._at = begin + size
        if size == 0 or self._at > len(self._data):
            raise InvalidProof("a field is empty, or cut off")
        return self._data[begin : self._at]

    def need(self, field: int, what: str) -> bytes:
        found = self.maybe(field)
        if not found:
            raise InvalidProof(f"{what} is missing where it should be")
        return found

    def message(self, field: int, what: str) -> _Message:
        return _Message(self.need(field, what))

    def end(self) -> None:
        if self._at != len(self._data):
            raise InvalidProof("something is there that does not belong")


def _proof_of(root: bytes, tree: str, proof: bytes) -> _Message:
    if tree not in _LENGTHS:
        raise ValueError(f"no tree is called {tree!r:.80}: there are 'jellyfish' and 'iavl'")
    if len(octets("the root", root)) != 32:
        raise InvalidProof(f"a root has 32 bytes, not {len(root)}")
    return _Message(octets("the proof", proof))


def _varint(value: int) -> bytes:
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    return bytes([*coded, value])


def _read_varint(data: bytes, at: int) -> Tuple[int, int]:
    """(value, where it ends), of at most 64 bits and no longer than needed."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            raise InvalidProof("the proof is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if (byte == 0 and shift) or value >= 1 << 64:
                break
            return value, at
    raise InvalidProof("a number is longer than it needs to be, or than 64 bits")
