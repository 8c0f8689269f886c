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
from hashlib import sha256
from typing import NamedTuple

from . import _core
from .rows import corrupt, u64
from .trees import Batch, Inner, Leaf, Map, Node, ReadNodes, TreeHead, TreeUpdate, register

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
    ordered = False

    def stage(
        self, read: ReadNodes, parent: TreeHead, batch: Batch, entries: bytes, version: int, map: Map
    ) -> TreeUpdate:
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

    def place(self, key: bytes) -> bytes:
        return sha256(key).digest()

    def find(self, read: ReadNodes, head: TreeHead, place: bytes) -> Leaf | None:
        slots: Sequence[bytes | None] = _root_slots(read, head)
        path = _nibbles(place)
        for depth, nibble in enumerate(path):
            slot = slots[nibble]
            if slot is None:
                return None
            if len(slot) == _LEAF_SIZE:
                return _leaf(slot) if slot[8:40] == place else None
            slots = _core.node_slots(_checked_row(read, slot[:8] + bytes(path[: depth + 1]), slot[8:]))
        raise corrupt("nodes", head.pointer, "a path goes on below the last nibble")

    def top(self, read: ReadNodes, head: TreeHead) -> Node | None:
        if not head.pointer:
            return None
        top = Inner(head.root, b"", head.pointer, None)
        left, right = self.split(read, top)
        for half, other in ((left, right), (right, left)):
            if isinstance(half, Leaf) and other is None:
                return half  # the only key: the tree is its leaf
        return top

    def split(self, read: ReadNodes, inner: Inner) -> tuple[Node | None, Node | None]:
        row, at = inner.handle or (None, 1)
        if row is None:
            assert inner.row is not None
            row = _row(read, inner.row, inner.hash)
        return row.range(2 * at), row.range(2 * at + 1)

    def middle(self, read: ReadNodes, inner: Inner) -> bytes:
        row, at = inner.handle or (None, 1)
        path = row.path if row is not None else (inner.row or b"")[8:]
        # The bits that all places of the right half begin with: the path, the range within the row, a one.
        level = at.bit_length() - 1
        bits = int(path.hex()[1::2] or "0", 16) << level | at - (1 << level)
        return ((bits << 1 | 1) << (255 - 4 * len(path) - level)).to_bytes(32, "big")


class _Row(NamedTuple):
    """A row as the binary tree it stands for: range 1 is all of it, 2i and 2i + 1 are the halves of i, 16 + n is child n."""

    path: bytes
    slots: tuple[bytes | None, ...]
    hashes: tuple[bytes, ...]

    def range(self, at: int) -> Node | None:
        span = 16 >> (at.bit_length() - 1)
        first = (at * span) % 16
        children = [slot for slot in self.slots[first : first + span] if slot is not None]
        if not children:
            return None
        if len(children) == 1 and len(children[0]) == _LEAF_SIZE:
            return _leaf(children[0], self.hashes[at])
        if span > 1:
            return Inner(self.hashes[at], b"", None, (self, at))
        return Inner(self.hashes[at], b"", children[0][:8] + self.path + bytes([first]), None)


def _leaf(slot: bytes, hash: bytes | None = None) -> Leaf:
    if hash is None:
        hash = sha256(b"JMT::LeafNode" + slot[8:]).digest()
    return Leaf(hash, slot[8:40], b"", int.from_bytes(slot[:8], "big"), slot[8:40], slot[40:])


def _nibbles(key_hash: bytes) -> list[int]:
    return [half for byte in key_hash for half in (byte >> 4, byte & 15)]


def _root_slots(read: ReadNodes, head: TreeHead) -> tuple[bytes | None, ...]:
    return _core.node_slots(_checked_row(read, head.pointer, head.root)) if head.pointer else _NO_SLOTS


def _row(read: ReadNodes, key: bytes, expected: bytes) -> _Row:
    (row,) = read([key])
    try:
        hashes = _core.node_hashes(row)
    except ValueError:
        raise corrupt("nodes", key, "its checksum does not match") from None
    if hashes[1] != expected:
        raise corrupt("nodes", key, "its hash is not the one recorded for it")
    return _Row(key[8:], _core.node_slots(row), hashes)


def _checked_row(read: ReadNodes, key: bytes, expected: bytes) -> bytes:
    (row,) = read([key])
    try:
        if _core.node_hash(row) != expected:
            raise corrupt("nodes", key, "its hash is not the one recorded for it")
    except ValueError:
        raise corrupt("nodes", key, "its checksum does not match") from None
    return row


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
