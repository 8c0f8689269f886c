"""What parts two versions: both trees are walked side by side, and what they share is skipped by its hash.

The trees need not have the same shape (IAVL rotates), so each is a stream of parts yet to come, smallest places first:

    one   [k1][  A  ][     B     ]        equal hashes at the front: the same keys and values, skipped together
    two   [k1'][  A  ][ C ][  D  ]        else whichever is higher up is split, until both are leaves

Two parts with one hash hold the same keys; so they stand at the same place in both streams, sooner or later both at the
front. A part that was split in one stream alone is met again piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from ..disk.rows import VersionRow
from ..latest.snapshot import RowReader
from ..trees.seam import Inner, Leaf, Node, ReadNodes, Tree, TreeHead
from .versions import value_of


class Change(NamedTuple):
    """A key whose value is not the same in two versions; None where it is absent."""

    key: bytes
    old: Optional[bytes]
    new: Optional[bytes]


def changes(tree: Tree, rows: RowReader, old: VersionRow, new: VersionRow) -> Iterator[Change]:
    """Between two versions, in the order of the tree."""
    heads = [TreeHead(row.root, row.head) for row in map(rows.same, (old, new))]
    for before, after in leaves(tree, rows.nodes, *heads):
        if before is not None and after is not None and before.value_hash == after.value_hash:
            continue  # written again, or its leaf moved
        pairs = [None if leaf is None else value_of(leaf, rows.value) for leaf in (before, after)]
        ((key, _), *_) = filter(None, pairs)
        yield Change(key, *(None if pair is None else pair[1] for pair in pairs))


def leaves(tree: Tree, read: ReadNodes, one: TreeHead, two: TreeHead) -> Iterator[tuple[Leaf | None, Leaf | None]]:
    """(leaf in one, leaf in two) wherever they are not the same, None where there is none; ascending by place.

    On a tree whose leaves know their version a pair may hold the same value, written again."""
    if one == two:
        return
    first, second = _Parts(tree, read, one), _Parts(tree, read, two)
    while first.parts or second.parts:
        a, b = first.front, second.front
        if a is not None and b is not None and a.hash == b.hash:
            first.pop()
            second.pop()
        elif isinstance(a, Inner) and (not isinstance(b, Inner) or first.depth < second.depth):
            first.split()
        elif isinstance(b, Inner) and (not isinstance(a, Inner) or second.depth < first.depth):
            second.split()
        elif isinstance(a, Inner):
            first.split()
            second.split()
        else:
            assert not isinstance(b, Inner)
            before = b is None or a is not None and a.place <= b.place
            after = a is None or b is not None and b.place <= a.place
            yield a if before else None, b if after else None
            if before:
                first.pop()
            if after:
                second.pop()


class _Parts:
    """What is yet to come of a tree."""

    def __init__(self, tree: Tree, read: ReadNodes, head: TreeHead) -> None:
        self._tree = tree
        self._read = read
        self.parts: list[tuple[int, Node]] = []  # (depth, part), the next one last
        self._add(0, tree.top(read, head))

    @property
    def front(self) -> Node | None:
        return self.parts[-1][1] if self.parts else None

    @property
    def depth(self) -> int:
        return self.parts[-1][0]

    def pop(self) -> None:
        self.parts.pop()

    def split(self) -> None:
        depth, part = self.parts.pop()
        assert isinstance(part, Inner)
        left, right = self._tree.split(self._read, part)
        self._add(depth + 1, right)
        self._add(depth + 1, left)

    def _add(self, depth: int, part: Node | None) -> None:
        if part is not None:
            self.parts.append((depth, part))
