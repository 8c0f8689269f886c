"""Making proofs. What a proof is, and how it is encoded, stands in verify.py."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..trees import walk
from ..trees.seam import Inner, Leaf, Node, ReadNodes, Tree, TreeHead
from ..trees.varint import varint
from .verify import CLAIMED, EMPTY, FORMAT, INNER, OTHER, STUB


class RangeProof(NamedTuple):
    """All pairs with start <= place < end, and the proof of that; None is no bound."""

    start: bytes | None
    end: bytes | None
    pairs: list[tuple[bytes, bytes]]
    proof: bytes


def prove(tree: Tree, read: ReadNodes, head: TreeHead, keys: Iterable[bytes]) -> bytes:
    """The proof of what each of `keys` is in this version: its value, or absent."""
    asked = sorted(set(map(tree.place, keys)))
    if not asked:
        raise ValueError("there is nothing to prove: give at least one key")
    shown = set(asked)
    if tree.ordered:
        read = _once(read)
        for place in asked:
            if tree.find(read, head, place) is None:  # between these two
                shown.update(_around(tree, read, head, place, place))
    return _encoded(tree, read, head, sorted(shown), None, set(asked).__contains__)


def prove_range(
    tree: Tree,
    read: ReadNodes,
    head: TreeHead,
    start: bytes | None,
    end: bytes | None,
    limit: int | None,
    pair_of: Callable[[Leaf], tuple[bytes, bytes]],
) -> RangeProof:
    """start and end are places. With a limit, `end` of the result is where it stopped."""
    for bound in (start, end):
        if bound is not None and not tree.ordered and len(bound) != 32:
            raise ValueError(f"a range of tree {tree.name!r} lies between key hashes of 32 bytes, this bound has {len(bound)}")
    if end is not None and end <= (start or (b"" if tree.ordered else bytes(32))):
        raise ValueError("the range is empty: its start must be below its end")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    leaves: list[Leaf] = []
    for leaf in walk.leaves(tree, read, head, start, end):
        if len(leaves) == limit:
            end = leaf.place
            break
        leaves.append(leaf)
    pairs = [pair_of(leaf) for leaf in leaves]
    inside = {leaf.place for leaf in leaves}
    if tree.ordered:
        shown = sorted(inside.union(_around(tree, read, head, start, end)))
        return RangeProof(start, end, pairs, _encoded(tree, read, head, shown, None, inside.__contains__))
    span = (start or b"", end)
    return RangeProof(start, end, pairs, _encoded(tree, read, head, [], span, inside.__contains__))


def _once(read: ReadNodes) -> ReadNodes:
    """Reads no row again: those of the way to a key are looked into to find it, and then for its proof."""
    rows: dict[bytes, bytes] = {}

    def once(keys: Sequence[bytes]) -> Sequence[bytes]:
        missing = [key for key in keys if key not in rows]
        if missing:
            rows.update(zip(missing, read(missing)))
        return [rows[key] for key in keys]

    return once


def _around(tree: Tree, read: ReadNodes, head: TreeHead, start: bytes | None, end: bytes | None) -> list[bytes]:
    """The places of the leaves before `start` and from `end` on; none where `start` itself is there and is `end`."""
    after = next(walk.leaves(tree, read, head, start=end), None) if end is not None else None
    if after is not None and after.place == start:
        return []
    before = next(walk.leaves(tree, read, head, end=start, reverse=True), None) if start is not None else None
    return [leaf.place for leaf in (before, after) if leaf is not None]


def _encoded(
    tree: Tree,
    read: ReadNodes,
    head: TreeHead,
    shown: Sequence[bytes],
    span: tuple[bytes, bytes | None] | None,
    claimed: Callable[[bytes], bool],
) -> bytes:
    """shown: places to go to, ascending; span: places of which all is to be seen; claimed: whether the verifier has it."""
    encoding = _Encoding(tree, read, shown, span, claimed)
    whole = Inner(head.root, b"", head.pointer, None) if span is None and tree.unfold and head.pointer else tree.top(read, head)
    encoding.emit(whole, 0, len(shown), b"", None)
    return bytes(encoding.out)


class _Encoding:
    """No nested function, which would know itself and keep the store, through `read`, until garbage is collected."""

    def __init__(
        self,
        tree: Tree,
        read: ReadNodes,
        shown: Sequence[bytes],
        span: tuple[bytes, bytes | None] | None,
        claimed: Callable[[bytes], bool],
    ) -> None:
        self.out = bytearray([FORMAT])
        self._tree, self._read, self._shown, self._span, self._claimed = tree, read, shown, span, claimed

    def emit(self, node: Node | None, first: int, last: int, low: bytes, high: bytes | None) -> None:
        tree, read, out, span = self._tree, self._read, self.out, self._span
        unfold = tree.unfold if span is None else None
        if node is None:
            out.append(EMPTY)
            return
        if first == last and (span is None or not _overlap(span, low, high)):
            out.append(STUB)
            out.extend(node.hash)
        elif isinstance(node, Leaf):
            _leaf(tree, out, node, self._claimed(node.place))
        elif unfold is not None and node.row is not None:
            for piece in unfold(read, node, self._shown, first, last):
                if isinstance(piece, bytes):
                    out.extend(piece)
                else:
                    below, begin, end = piece
                    self.emit(below, begin, end, b"", None)
        else:
            out.append(INNER)
            out.extend(node.meta)
            middle = tree.middle(read, node)
            at = bisect_left(self._shown, middle, first, last)
            left, right = tree.split(read, node)
            self.emit(left, first, at, low, middle)
            self.emit(right, at, last, middle, high)


def _overlap(span: tuple[bytes, bytes | None], low: bytes, high: bytes | None) -> bool:
    return (high is None or span[0] < high) and (span[1] is None or low < span[1])


def _leaf(tree: Tree, out: bytearray, leaf: Leaf, claimed: bool) -> None:
    out.append(CLAIMED if claimed else OTHER)
    out.extend(leaf.meta[2:])  # height 0 and size 1 go without saying
    if claimed:
        return
    if tree.ordered:
        out.extend(varint(len(leaf.place)))
    out.extend(leaf.place)
    out.extend(leaf.value_hash)
