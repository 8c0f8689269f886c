"""The root of a Jellyfish tree by its definition (penumbra jmt; reference/trees.md section 1), too simple to be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256


def naive_root(state: Mapping[bytes, bytes]) -> bytes:
    return _root([(sha256(key).digest(), sha256(value).digest()) for key, value in state.items()], 0)


def _root(pairs: list[tuple[bytes, bytes]], depth: int) -> bytes:
    if not pairs:
        return b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
    if len(pairs) == 1:
        return sha256(b"JMT::LeafNode" + pairs[0][0] + pairs[0][1]).digest()
    halves: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    for pair in pairs:
        halves[pair[0][depth // 8] >> (7 - depth % 8) & 1].append(pair)
    return sha256(b"JMT::IntrnalNode" + _root(halves[0], depth + 1) + _root(halves[1], depth + 1)).digest()
