"""The Jellyfish Merkle tree: roots byte-equal to penumbra's jmt 0.12 with SHA-256.

        root row        a 16-way node with the empty path; there if and only if the state has a key
       / |  .. \\        the 16 subtrees below it do not depend on each other: each is one task
      o  leaf   o       a child with one key is a leaf inside its parent's row
     / \\       / \\      a child with more has a row of its own, named by the version that wrote it and its path

Pure: rows are read through a callable and returned, never written. The walk and the hashing of a subtree are in C
(core/jellyfish.h); here a batch is cut into subtrees and they are joined again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from .. import _core
from ..errors import corrupt
from .keys import u64
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

PLACEHOLDER = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"

_LEAF_SIZE = 72
_ENTRY = Struct("=32s32sII")  # struct jf_entry
_REBUILT_TOGETHER = 20_000  # leaves
_REF_SIZE = 40
_CUT = 256  # writes of a task, from which on it is taken in parts
MEMORY = 128 << 20
"""Bytes of rows of a state's first levels kept in memory, in up to a quarter more of it: all those of a million keys."""

Crowns = tuple[_core.Crown, ...]
"""One for each of the 16 subtrees, so that their tasks have nothing in common."""

_NO_SLOTS: tuple[bytes | None, ...] = (None,) * 16


class SubtreeTask(NamedTuple):
    """A batch for one of the 16 subtrees."""

    slot: bytes | None  # as it stands in the root row
    entries: bytes
    version: int


class SubtreeResult(NamedTuple):
    slot: bytes | None
    rows: list[bytes]  # packed, see _core.Rows
    stale: list[bytes]  # records, see TreeUpdate
    effects: bytes


class Jellyfish:
    name = "jellyfish"
    empty = TreeHead(PLACEHOLDER, b"")
    ordered = False
    meta_numbers = 0

    def memory(self) -> Crowns:
        return tuple(_core.Crown(MEMORY // 16) for _ in range(16))

    def stage(
        self, read: ReadNodes, parent: TreeHead, batch: _core.Writes, entries: bytes, version: int, map: Map,
        memory: Crowns | None,
    ) -> TreeUpdate:
        old_slots = _root_slots(read, parent)
        groups = _core.split_entries(entries, 0)
        tasks = [SubtreeTask(old_slots[nibble], group, version) for nibble, group in groups]
        results: list[SubtreeResult] = list(map(partial(_applied, read, memory), tasks))
        slots, rows, stale, effects = _joined(old_slots, groups, results)
        if not any(effects):
            return TreeUpdate(parent, [], [], effects)
        if parent.pointer:
            stale.append(b"\0" + parent.pointer + b"\0")
        if not any(slots):
            return TreeUpdate(self.empty, _core.Rows(rows), stale, effects)
        root_row = _core.node_row(slots)
        pointer = u64(version)
        rows.insert(0, _core.packed_row(pointer, root_row))
        return TreeUpdate(TreeHead(_core.node_hash(root_row), pointer), _core.Rows(rows), stale, effects)

    def place(self, key: bytes) -> bytes:
        return sha256(key).digest()

    def find(self, read: ReadNodes, head: TreeHead, place: bytes) -> Leaf | None:
        slots: Sequence[bytes | None] = _root_slots(read, head)
        path, key = _nibbles(place), head.pointer
        for depth, nibble in enumerate(path):
            slot = slots[nibble]
            if slot is None:
                return None
            if len(slot) == _LEAF_SIZE:
                return _leaf(slot) if slot[8:40] == place else None
            if len(slot) > _LEAF_SIZE:
                group = _checked_group(key, slot, depth + 1)
                return next((_leaf(leaf) for leaf in _leaves(group) if leaf[8:40] == place), None)
            key = slot[:8] + bytes(path[: depth + 1])
            slots = _core.node_slots(_checked_row(read, key, slot[8:]))
        raise corrupt("nodes", head.pointer, "a path goes on below the last nibble")

    def top(self, read: ReadNodes, head: TreeHead) -> Node | None:
        if not head.pointer:
            return None
        top = Inner(head.root, b"", head.pointer, (_row(read, head.pointer, head.root), 1))
        left, right = self.split(read, top)
        for half, other in ((left, right), (right, left)):
            if isinstance(half, Leaf) and other is None:
                return half  # the only key: the tree is its leaf
        return top

    def split(self, read: ReadNodes, inner: Inner) -> tuple[Node | None, Node | None]:
        handle = inner.handle
        if isinstance(handle, _Group):
            return handle.halves()
        if handle is None:
            assert inner.row is not None
            handle = (_row(read, inner.row, inner.hash), 1)
        row, at = handle
        return row.range(2 * at), row.range(2 * at + 1)

    def unfold(
        self, read: ReadNodes, inner: Inner, shown: Sequence[bytes], first: int, last: int
    ) -> Iterator[bytes | tuple[Node, int, int]]:
        """See trees.Unfold."""
        key = inner.row
        assert key is not None
        depth, mask = len(key) - 8, 0
        parts: dict[int, tuple[int, int]] = {}
        for at in range(first, last):
            child = shown[at][depth // 2] >> (0 if depth % 2 else 4) & 15
            mask |= 1 << child
            parts[child] = (parts.get(child, (at,))[0], at + 1)
        (row,) = read([key])
        try:
            hash, pieces = _core.node_unfold(row, mask)
        except ValueError:
            raise corrupt("nodes", key, "its checksum does not match") from None
        if hash != inner.hash:
            raise corrupt("nodes", key, "its hash is not the one recorded for it")
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            child, slot, hash = piece
            if len(slot) == _LEAF_SIZE:
                yield _leaf(slot, hash), first, last
            else:
                yield _below(key, child, slot, hash), *parts[child]

    def middle(self, read: ReadNodes, inner: Inner) -> bytes:
        if isinstance(inner.handle, _Group):
            return inner.handle.middle()
        if inner.handle is None:
            assert inner.row is not None
            key, path, at = inner.row, _path(inner.row), 1
        else:
            row, at = inner.handle
            key, path = row.key, row.path
        # The bits that all places of the right half begin with: the path, the range within the row, a one.
        level = at.bit_length() - 1
        bits = path << level | at - (1 << level)
        return ((bits << 1 | 1) << (287 - 4 * len(key) - level)).to_bytes(32, "big")

    def leaf(self, key: bytes, key_hash: bytes, meta: bytes, value_hash: bytes, version: int) -> Leaf:
        hash = sha256(b"JMT::LeafNode" + key_hash + value_hash).digest()
        return Leaf(hash, key_hash, b"", version, key_hash, value_hash)

    def hash_inner(self, meta: bytes, left: bytes | None, right: bytes | None) -> bytes:
        if left is None and right is None:
            raise ValueError("an inner node must have a key below it")
        return sha256(b"JMT::IntrnalNode" + (left or PLACEHOLDER) + (right or PLACEHOLDER)).digest()

    def rebuild(self, parts: Iterator[Leaf | bytes], version: int) -> Generator[Rows, None, TreeHead]:
        leaves = _Ascending(part for part in parts if isinstance(part, Leaf))
        if not leaves.below(b"", 0):
            return self.empty
        slots = []
        for nibble in range(16):
            slots.append((yield from _rebuilt(leaves, bytes([nibble]), version)))
        row, key = _core.node_row(slots), u64(version)
        yield [(key, row)]
        return TreeHead(_core.node_hash(row), key)


def _applied(read: ReadNodes, memory: Crowns | None, task: SubtreeTask) -> SubtreeResult:
    """A large batch goes to the children of the subtree's first node one by one: what the keys of a child touch fits the
    core's own caches, what those of the whole task touch does not. Three quarters of the time."""
    crown = memory[task.entries[0] >> 4] if memory is not None else None
    if len(task.entries) < _CUT * _core.ENTRY_SIZE or task.slot is None or len(task.slot) != _REF_SIZE:
        return _walked(read, crown, 1, task)
    path = bytes([task.entries[0] >> 4])
    key = task.slot[:8] + path
    old_slots = _slots(read, key, task.slot[8:])
    rows_below = {nibble for nibble, slot in enumerate(old_slots) if _is_ref(slot)}
    if not rows_below:
        return _walked(read, crown, 1, task)  # its leaves stand flat
    groups = _core.split_entries(task.entries, 1)
    results = [_walked(read, crown, 2, SubtreeTask(old_slots[nibble], group, task.version)) for nibble, group in groups]
    slots, rows, stale, effects = _joined(old_slots, groups, results)
    if not any(effects):
        return SubtreeResult(task.slot, [], [], effects)
    if not any(_is_ref(slots[nibble]) for nibble in rows_below):
        # Its leaves may stand flat from now on: only a walk from here knows. The rows must be those of a smaller batch that
        # changes as much, for the crown tells two stages on one version apart by what they changed.
        return _walked(read, crown, 1, task)
    stale.append(b"\0" + key[:8] + b"\1" + path)
    row = _core.node_row(slots)
    rows.insert(0, _core.packed_row(u64(task.version) + path, row))
    return SubtreeResult(u64(task.version) + _core.node_hash(row), rows, stale, effects)


def _is_ref(slot: bytes | None) -> bool:
    return slot is not None and len(slot) == _REF_SIZE


def _joined(
    old_slots: Sequence[bytes | None], groups: Sequence[tuple[int, bytes]], results: Sequence[SubtreeResult]
) -> tuple[list[bytes | None], list[bytes], list[bytes], bytes]:
    """A node after what became of its children: (slots, rows, stale, effects)."""
    slots = list(old_slots)
    for (nibble, _), result in zip(groups, results):
        slots[nibble] = result.slot
    rows = [part for result in results for part in result.rows]
    stale = [part for result in results for part in result.stale]
    return slots, rows, stale, b"".join(result.effects for result in results)


def _walked(read: ReadNodes, crown: _core.Crown | None, depth: int, task: SubtreeTask) -> SubtreeResult:
    """By one walk down and up again."""
    subtree = _core.Subtree(depth, task.slot, task.entries, task.version, crown)
    while keys := subtree.wanted():
        bad = subtree.feed(read(keys))
        if bad is not None:
            raise corrupt("nodes", keys[bad[0]], bad[1])
    slot, rows, stale, effects = subtree.close()
    return SubtreeResult(slot, [rows], [stale], effects)


def _rebuilt(leaves: _Ascending, path: bytes, version: int) -> Generator[Rows, None, bytes | None]:
    """Takes the leaves below a path and gives its slot: a few thousand at once, else child by child."""
    some = leaves.below(path, _REBUILT_TOGETHER)
    if not some:
        return None
    if len(some) <= _REBUILT_TOGETHER:
        leaves.drop(len(some))
        entries = b"".join(_ENTRY.pack(leaf.place, leaf.value_hash, 0, 1) for leaf in some)
        slot, rows, _, _ = _core.Subtree(len(path), None, entries, version).close()
        yield _core.Rows([rows])
        return slot
    slots = []
    for nibble in range(16):
        slots.append((yield from _rebuilt(leaves, path + bytes([nibble]), version)))
    row, key = _core.node_row(slots), u64(version) + path
    yield [(key, row)]
    return key[:8] + _core.node_hash(row)


class _Ascending:
    """Leaves that must come in the order of their places, and can be looked at before they are taken."""

    def __init__(self, leaves: Iterator[Leaf]) -> None:
        self._rest = leaves
        self._seen: list[Leaf] = []
        self._at = 0  # those before it were taken
        self._last = b""

    def below(self, path: bytes, most: int) -> list[Leaf]:
        """The next leaves below a path; if they are more than `most`, one more than that."""
        found, prefix = 0, "".join(f"{nibble:x}" for nibble in path)
        while found <= most:
            if self._at + found == len(self._seen) and not self._read():
                break
            if not self._seen[self._at + found].place.hex().startswith(prefix):
                break
            found += 1
        return self._seen[self._at : self._at + found]

    def _read(self) -> bool:
        leaf = next(self._rest, None)
        if leaf is None:
            return False
        if leaf.place <= self._last:
            raise ValueError(f"leaf {leaf.place.hex()} is out of order")
        self._last = leaf.place
        self._seen.append(leaf)
        return True

    def drop(self, count: int) -> None:
        self._at += count
        if self._at > _REBUILT_TOGETHER:
            del self._seen[: self._at]
            self._at = 0


class _Row(NamedTuple):
    """A row as the binary tree it stands for: range 1 is all of it, 2i and 2i + 1 are the halves of i, 16 + n is child n."""

    key: bytes
    path: int  # that of its key, as a number
    slots: tuple[bytes | None, ...]
    ranges: bytes  # how many keys each covers (0, 1, 2 for more), 32 of them; then from range 1 on the hashes

    def range(self, at: int) -> Node | None:
        keys = self.ranges[at]
        if keys == 0:
            return None
        hash = self.ranges[32 * at : 32 * at + 32]
        if keys == 1:
            span = 16 >> (at.bit_length() - 1)
            first = at * span - 16
            return _leaf(next(filter(None, self.slots[first : first + span])), hash)
        if at < 16:
            return Inner(hash, b"", None, (self, at))
        slot = self.slots[at - 16]
        assert slot is not None, "it covers keys"
        return _below(self.key, at - 16, slot, hash)


def _below(key: bytes, child: int, slot: bytes, hash: bytes) -> Inner:
    """The child of a row, which covers two keys or more."""
    if len(slot) == _REF_SIZE:
        return Inner(hash, b"", slot[:8] + key[8:] + bytes([child]), None)
    depth = len(key) - 8 + 1
    return Inner(hash, b"", None, _Group(_checked_group(key, slot, depth), 4 * depth))


class _Group(NamedTuple):
    """Leaves that stand flat in a row and agree in their first `bit` bits."""

    leaves: bytes
    bit: int

    def halves(self) -> tuple[Node | None, Node | None]:
        leaves = _leaves(self.leaves)
        byte, mask = 8 + self.bit // 8, 0x80 >> self.bit % 8
        left = sum(not leaf[byte] & mask for leaf in leaves) * _LEAF_SIZE
        return self._half(self.leaves[:left]), self._half(self.leaves[left:])

    def middle(self) -> bytes:
        shift = 255 - self.bit
        first = int.from_bytes(self.leaves[8:40], "big") >> shift
        return ((first | 1) << shift).to_bytes(32, "big")

    def _half(self, leaves: bytes) -> Node | None:
        if not leaves:
            return None
        if len(leaves) == _LEAF_SIZE:
            return _leaf(leaves)
        return Inner(_core.leaves_hash(leaves, self.bit + 1), b"", None, _Group(leaves, self.bit + 1))


def _leaves(group: bytes) -> list[bytes]:
    return [group[at : at + _LEAF_SIZE] for at in range(0, len(group), _LEAF_SIZE)]


def _checked_group(key: bytes, slot: bytes, depth: int) -> bytes:
    """The leaves of a group at `depth`; its row vouches for its hash alone."""
    try:
        if _core.leaves_hash(slot[32:], 4 * depth) == slot[:32]:
            return slot[32:]
    except ValueError:
        pass
    raise corrupt("nodes", key, "a hash in it is not that of the leaves beside it")


def _leaf(slot: bytes, hash: bytes | None = None) -> Leaf:
    if hash is None:
        hash = sha256(b"JMT::LeafNode" + slot[8:]).digest()
    return Leaf(hash, slot[8:40], b"", int.from_bytes(slot[:8], "big"), slot[8:40], slot[40:])


def _path(key: bytes) -> int:
    """The nibbles in the key of a row, as a number."""
    return int(key.hex()[17::2] or "0", 16)


def _nibbles(key_hash: bytes) -> list[int]:
    return [half for byte in key_hash for half in (byte >> 4, byte & 15)]


def _root_slots(read: ReadNodes, head: TreeHead) -> tuple[bytes | None, ...]:
    if len(head.pointer) not in (0, 8):  # it is a record's word
        raise corrupt("nodes", head.pointer, "the key of a root's row has 8 bytes")
    return _slots(read, head.pointer, head.root) if head.pointer else _NO_SLOTS


def _slots(read: ReadNodes, key: bytes, expected: bytes) -> tuple[bytes | None, ...]:
    """Of the root's row, or one of the next level: what subtrees below it begin with."""
    slots = _core.node_slots(_checked_row(read, key, expected))
    depth, path = len(key) - 8, _path(key) << 4
    for nibble, slot in enumerate(slots):
        if slot is None or len(slot) == _REF_SIZE:
            continue
        is_group = len(slot) > _LEAF_SIZE
        if is_group and (depth == 0 or any(map(_is_ref, slots))):
            raise corrupt("nodes", key, "keys stand flat in it beside rows of their own")
        if not is_group and not slot[8:40].hex().startswith(f"{path | nibble:0{depth + 1}x}"):
            raise corrupt("nodes", key, f"leaf {slot[8:40].hex()} is not where it belongs")
    return slots


def _row(read: ReadNodes, key: bytes, expected: bytes) -> _Row:
    (row,) = read([key])
    try:
        ranges = _core.node_ranges(row)
    except ValueError:
        raise corrupt("nodes", key, "its checksum does not match") from None
    if ranges[32:64] != expected:
        raise corrupt("nodes", key, "its hash is not the one recorded for it")
    return _Row(key, _path(key), _core.node_slots(row), ranges)


def _checked_row(read: ReadNodes, key: bytes, expected: bytes) -> bytes:
    (row,) = read([key])
    try:
        if _core.node_hash(row) != expected:
            raise corrupt("nodes", key, "its hash is not the one recorded for it")
    except ValueError:
        raise corrupt("nodes", key, "its checksum does not match") from None
    return row


register(Jellyfish())
