"""The seam behind which state trees plug in, and the register of those there are."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Optional, Protocol, Union

from .. import _core
from ..errors import UnknownTree

ReadNodes = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Rows of table `nodes` by key, in the order of the keys; raises StateCorrupt if one is missing."""

Batch = Sequence[tuple[bytes, Optional[bytes]]]
"""(key, value or None to delete)"""


class Rows(Protocol):
    """Rows of a table by key, ascending. May be lazy: made anew each time they are looked at."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[bytes, bytes]]: ...


Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""map(function, tasks): the results in the order of the tasks, wherever they are computed."""


class TreeHead(NamedTuple):
    """One version of a tree."""

    root: bytes
    pointer: bytes  # the tree's own: where its root row is


class TreeUpdate(NamedTuple):
    """What applying a batch gives. Nothing is written yet."""

    head: TreeHead
    rows: Rows  # of table `nodes`
    stale: list[bytes]  # of rows no longer needed, joined records: kind u8 | version u64 | size u8 | path or key hash
    effects: bytes  # one Effect an entry of the batch, in the order of its key hashes


class Effect:
    """What one write did to the tree."""

    NOTHING = 0
    INSERTED = 1
    UPDATED = 2
    DELETED = 3


class Leaf(NamedTuple):
    """A key of the state, as its tree holds it."""

    hash: bytes
    place: bytes  # what the tree sorts by: the key's hash (Jellyfish), the key (IAVL)
    meta: bytes  # what the hash covers besides place and value hash: nothing (Jellyfish), version of the node (IAVL)
    version: int  # of the value's row, which is named by it and key_hash
    key_hash: bytes
    value_hash: bytes


class Inner(NamedTuple):
    """What covers two keys or more (Jellyfish: or has room for them). Binary, however the rows are cut."""

    hash: bytes
    meta: bytes  # what the hash covers besides its children: nothing (Jellyfish), height, size and version (IAVL)
    row: bytes | None  # key of the row that begins here; None: it stands in its parent's row
    handle: Any  # the tree's own: how to split it


Node = Union[Leaf, Inner]


Unfold = Callable[[ReadNodes, Inner, Sequence[bytes], int, int], Iterator[Union[bytes, tuple[Node, int, int]]]]
"""unfold(read, inner, shown, first, last): the proof (verify.py) of places shown[first:last] as far as it stands in the row
that begins with `inner`, in order: its bytes, and the nodes it goes on in, each with the part of `shown` below it. The
whole of a tree that is not empty begins with Inner(head.root, b"", head.pointer, None), which nobody needs to have read."""


class Tree(Protocol):
    """A state tree: pure, every row it needs is handed to it.

    Whoever looks at a tree as a whole (proofs, snapshots, comparisons, checks) sees a binary tree through `top` and
    `split`, whatever the rows look like. Every row is checked when read: StateCorrupt names it."""

    name: str
    empty: TreeHead
    ordered: bool  # whether places ascend as keys do
    meta_numbers: int  # how many varints `meta` of a leaf or an inner node is made of

    def memory(self) -> Any:
        """What the tree may keep of one state from batch to batch, so as not to read it again; None if nothing."""

    def stage(
        self, read: ReadNodes, parent: TreeHead, batch: _core.Writes, entries: bytes, version: int, map: Map, memory: Any
    ) -> TreeUpdate:
        """Apply `batch` (ascending by key, unique); new rows belong to `version`.

        entries: the same writes hashed (packed struct jf_entry, ascending by key hash; `index` is the one in batch).
        memory: None, or what `memory` made for this state; another one is needed after a rollback."""

    def place(self, key: bytes) -> bytes:
        """Where a key stands in the order of the tree."""

    def find(self, read: ReadNodes, head: TreeHead, place: bytes) -> Leaf | None:
        """The leaf of a key in this version, None if the key is absent."""

    def top(self, read: ReadNodes, head: TreeHead) -> Node | None:
        """The whole tree; None if it is empty."""

    def split(self, read: ReadNodes, inner: Inner) -> tuple[Node | None, Node | None]:
        """The halves of an inner node, the smaller places left; None is an empty half (Jellyfish only)."""

    def middle(self, read: ReadNodes, inner: Inner) -> bytes:
        """What parts the halves: places below it are left, all others right."""

    @property
    def unfold(self) -> Unfold | None:
        """For a tree that can do with a whole row at once what `middle` and `split` do node by node, at half the cost."""

    # Making a tree of what came from elsewhere (restore.py). ValueError says why something cannot be part of such a tree.

    def leaf(self, key: bytes, key_hash: bytes, meta: bytes, value_hash: bytes, version: int) -> Leaf:
        """The leaf of a key in a state that begins at this version."""

    def hash_inner(self, meta: bytes, left: bytes | None, right: bytes | None) -> bytes:
        """From the hashes of the halves; None is an empty one."""

    def rebuild(self, parts: Iterator[Leaf | bytes], version: int) -> Generator[Rows, None, TreeHead]:
        """The rows of a whole tree, which all belong to `version`, from its leaves and the meta of its inner nodes, both
        in order, children before their parent. Holds no more than some thousand leaves at a time."""


_trees: dict[str, Tree] = {}


def register(tree: Tree) -> None:
    _trees[tree.name] = tree


def tree_named(name: str) -> Tree:
    """UnknownTree if there is none."""
    try:
        return _trees[name]
    except KeyError:
        known = ", ".join(sorted(_trees))
        raise UnknownTree(f"no tree is called {name!r:.80}: this release knows {known}") from None
