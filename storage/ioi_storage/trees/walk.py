"""Walking a tree by places, through its binary view; recursion is no deeper than the tree is high."""

from __future__ import annotations

from collections.abc import Iterator

from .seam import Leaf, Node, ReadNodes, Tree, TreeHead


def leaves(
    tree: Tree,
    read: ReadNodes,
    head: TreeHead,
    start: bytes | None = None,
    end: bytes | None = None,
    reverse: bool = False,
) -> Iterator[Leaf]:
    """The leaves with start <= place < end in the order of places; None is no bound. Reads no row it does not need."""
    return _leaves(tree, read, tree.top(read, head), start, end, reverse)


def _leaves(
    tree: Tree, read: ReadNodes, node: Node | None, start: bytes | None, end: bytes | None, reverse: bool
) -> Iterator[Leaf]:
    if node is None:
        return
    if isinstance(node, Leaf):
        if (start is None or start <= node.place) and (end is None or node.place < end):
            yield node
        return
    middle = tree.middle(read, node)
    left, right = tree.split(read, node)
    halves = [(left, start is None or start < middle), (right, end is None or middle < end)]
    for half, wanted in reversed(halves) if reverse else halves:
        if wanted:
            yield from _leaves(tree, read, half, start, end, reverse)
