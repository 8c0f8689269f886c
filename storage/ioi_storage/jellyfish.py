"""The Jellyfish Merkle tree: roots byte-equal to penumbra's jmt 0.12 with SHA-256.

        root row        a 16-way node with the empty path; there if and only if the state has a key
       / |  .. \\        the 16 subtrees below it do not depend on each other: each is one task
      o  leaf   o       a child with one key is a leaf inside its parent's row
     / \\       / \\      a child with more has a row of its own, named by the version that wrote it and its path

Pure: rows are read through a callable and returned, never written. The walk and the hashing of a subtree are in C
(core/jellyfish.h); here a batch is cut into subtrees and they are joined again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from . import _core
from .rows import corrupt, u64
from .trees import Found, Map, ReadNodes, TreeHead, TreeUpdate, register

PLACEHOLDER = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"

_LEAF_SIZE = 72
_NO_SLOTS: tuple[bytes | None, ...] = (None,) * 16


class SubtreeTask(NamedTuple):
    """A batch for one of the 16 subtrees; plain data, so that another process can run it."""

    slot: bytes | None  # as it stands in the root row
    entries: bytes
    version: int


class SubtreeResult(NamedTuple):
    slot: bytes | None
    rows: list[tuple[bytes, bytes]]
    stale: list[bytes]
    effects: bytes


class Jellyfish:
    name = "jellyfish"
    empty = TreeHead(PLACEHOLDER, b"")

    def stage(self, read: ReadNodes, parent: TreeHead, entries: bytes, version: int, map: Map) -> TreeUpdate:
        old_slots = _root_slots(read, parent)
        groups = _by_top_nibble(entries)
        tasks = [SubtreeTask(old_slots[nibble], group, version) for nibble, group in groups]
        results: list[SubtreeResult] = list(map(partial(self.run, read), tasks))
        slots = list(old_slots)
        for (nibble, _), result in zip(groups, results):
            slots[nibble] = result.slot
        effects = b"".join(result.effects for result in results)
        if not any(effects):
            return TreeUpdate(parent, [], [], effects)
        rows = [row for result in results for row in result.rows]
        stale = [piece for result in results for piece in result.stale]
        if parent.pointer:
            stale.append(b"\0" + parent.pointer + b"\0")
        if not any(slots):
            return TreeUpdate(self.empty, rows, stale, effects)
        root_row = _core.node_row(slots)
        pointer = u64(version)
        return TreeUpdate(TreeHead(_core.node_hash(root_row), pointer), [(pointer, root_row), *rows], stale, effects)

    def run(self, read: ReadNodes, task: SubtreeTask) -> SubtreeResult:
        subtree = _core.Subtree(1, task.slot, task.entries, task.version)
        while keys := subtree.wanted():
            bad = subtree.feed(read(keys))
            if bad is not None:
                raise corrupt("nodes", keys[bad[0]], bad[1])
        return SubtreeResult(*subtree.close())

    def find(self, read: ReadNodes, head: TreeHead, key_hash: bytes) -> Found | None:
        slots: Sequence[bytes | None] = _root_slots(read, head)
        for depth, nibble in enumerate(_nibbles(key_hash)):
            slot = slots[nibble]
            if slot is None:
                return None
            if len(slot) == _LEAF_SIZE:
                found = Found(int.from_bytes(slot[:8], "big"), slot[40:])
                return found if slot[8:40] == key_hash else None
            path = bytes(_nibbles(key_hash)[: depth + 1])
            slots = _checked_slots(read, slot[:8] + path, slot[8:])
        raise corrupt("nodes", head.pointer, "a path goes on below the last nibble")


def _nibbles(key_hash: bytes) -> list[int]:
    return [half for byte in key_hash for half in (byte >> 4, byte & 15)]


def _root_slots(read: ReadNodes, head: TreeHead) -> tuple[bytes | None, ...]:
    return _checked_slots(read, head.pointer, head.root) if head.pointer else _NO_SLOTS


def _checked_slots(read: ReadNodes, key: bytes, expected: bytes) -> tuple[bytes | None, ...]:
    (row,) = read([key])
    try:
        if _core.node_hash(row) != expected:
            raise corrupt("nodes", key, "its hash is not the one recorded for it")
        return _core.node_slots(row)
    except ValueError:
        raise corrupt("nodes", key, "its checksum does not match") from None


def _by_top_nibble(entries: bytes) -> list[tuple[int, bytes]]:
    """The entries of each subtree that has any."""
    size = _core.ENTRY_SIZE
    count = len(entries) // size
    groups, begin = [], 0
    for nibble in range(16):
        low, high = begin, count
        while low < high:
            middle = (low + high) // 2
            if entries[middle * size] >> 4 <= nibble:
                low = middle + 1
            else:
                high = middle
        if low > begin:
            groups.append((nibble, entries[begin * size : low * size]))
        begin = low
    return groups


register(Jellyfish())
