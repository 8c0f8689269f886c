"""A state as a dictionary, and its root by the definition of the Jellyfish tree (jmt: hash of a set of leaves)."""

from __future__ import annotations

from hashlib import sha256
from typing import Iterable, Mapping


def root_of(state: Mapping[bytes, bytes]) -> bytes:
    return _root([(sha256(key).digest(), sha256(value).digest()) for key, value in state.items()], 0)


def _root(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
    if not leaves:
        return b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
    if len(leaves) == 1:
        return sha256(b"JMT::LeafNode" + leaves[0][0] + leaves[0][1]).digest()
    sides: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = [], []
    for leaf in leaves:
        sides[leaf[0][depth // 8] >> (7 - depth % 8) & 1].append(leaf)
    return sha256(b"JMT::IntrnalNode" + _root(sides[0], depth + 1) + _root(sides[1], depth + 1)).digest()


def applied(state: Mapping[bytes, bytes], writes: Iterable[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    after = dict(state)
    for key, value in writes:
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after
