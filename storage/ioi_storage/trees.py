"""The seam behind which state trees plug in, and the register of those there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from .errors import UnknownTree

ReadNodes = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Rows of table `nodes` by key, in the order of the keys; raises StateCorrupt if one is missing."""

Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""map(function, tasks): the results in the order of the tasks, wherever they are computed."""


class TreeHead(NamedTuple):
    """One version of a tree."""

    root: bytes
    pointer: bytes  # the tree's own: where its root row is


class TreeUpdate(NamedTuple):
    """What applying a batch gives. Nothing is written yet."""

    head: TreeHead
    rows: list[tuple[bytes, bytes]]  # of table `nodes`, ascending by key
    stale: list[bytes]  # records of rows no longer needed: kind u8 | version u64 | size u8 | path or key hash
    effects: bytes  # one Effect an entry of the batch, in the order of its key hashes


class Effect:
    """What one write did to the tree."""

    NOTHING = 0
    INSERTED = 1
    UPDATED = 2
    DELETED = 3


class Found(NamedTuple):
    """Where the value of a key is."""

    version: int
    value_hash: bytes


class Tree(Protocol):
    """A state tree: pure, every row it needs is handed to it."""

    name: str
    empty: TreeHead

    def stage(self, read: ReadNodes, parent: TreeHead, entries: bytes, version: int, map: Map) -> TreeUpdate:
        """Apply `entries` (packed struct jf_entry, ascending by key hash, unique); new rows belong to `version`."""

    def run(self, read: ReadNodes, task: Any) -> Any:
        """One of the tasks that `stage` gives to `map`, for a map that sends them elsewhere."""

    def find(self, read: ReadNodes, head: TreeHead, key_hash: bytes) -> Found | None:
        """Where the value of a key is in this version, every row on the way checked; None if the key is absent."""


_trees: dict[str, Tree] = {}


def register(tree: Tree) -> None:
    _trees[tree.name] = tree


def tree_named(name: str) -> Tree:
    """UnknownTree if there is none."""
    try:
        return _trees[name]
    except KeyError:
        known = ", ".join(sorted(_trees))
        raise UnknownTree(f"no tree is called {name!r}: this release knows {known}") from None
