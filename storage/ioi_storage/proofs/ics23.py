"""ICS23: proofs as IBC has them, which any ics23 library verifies, given the root and the `spec` of the tree.

A proof is about one key: a protobuf message `cosmos.ics23.v1.CommitmentProof` (cosmos/ics23, proofs.proto).

    CommitmentProof    1 exist: ExistenceProof, or 2 nonexist: NonExistenceProof
    ExistenceProof     1 key, 2 value, 3 leaf: LeafOp, 4 path: an InnerOp each, from the leaf up
    NonExistenceProof  1 key, 2 left, 3 right: ExistenceProof of the keys on both sides, by place; one where there is one
    LeafOp             1 hash, 2 prehash_key, 3 prehash_value, 4 length (enums), 5 prefix
    InnerOp            1 hash (enum), 2 prefix, 3 suffix: what is hashed before and after the hash from below
    ProofSpec          1 leaf_spec: LeafOp, 2 inner_spec: InnerSpec, 3 max_depth, 5 prehash_key_before_comparison
    InnerSpec          1 child_order (packed), 2 child_size, 3 min_prefix_length, 4 max_prefix_length, 5 empty_child, 6 hash

Fields ascend, and those at their default (0, empty) are left out: there is one encoding of a proof.

What ics23 cannot prove is Unprovable: that a value is empty (its libraries want a leaf to have one), that a key is absent
from an empty tree or beside a key with such a value (it is proven by those on both sides), and whatever is deeper in the
tree, or has longer numbers in it, than the spec allows. Absence from a Jellyfish tree needs an ics23 that compares keys by
their hashes: 0.10 or later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Optional

from ..errors import Unprovable
from ..trees.seam import Inner, Leaf, Node, ReadNodes, Tree, TreeHead
from ..trees.varint import varint

PairOf = Callable[[Leaf], tuple[bytes, bytes]]
"""(key, value) of a leaf."""


def spec(tree: str) -> bytes:
    """The ProofSpec of a tree: what whoever verifies must have besides the root. ValueError if there is no such tree."""
    form = _form(tree)
    inner = _field(1, b"\0\1") + _number(2, 32 + len(form.mark)) + _number(3, form.min_prefix) + _number(4, form.max_prefix)
    inner += _field(5, form.empty_child) + _number(6, _SHA256)
    leaf = form.leaf_op + _field(5, form.leaf_prefix)
    return _field(1, leaf) + _field(2, inner) + _number(3, form.spec_depth) + _number(5, int(form.sorts_by_hash))


def prove(tree: Tree, read: ReadNodes, head: TreeHead, key: bytes, pair_of: PairOf) -> bytes:
    """The CommitmentProof of what `key` is in this version: its value, or absent. Raises Unprovable."""
    form, place = _form(tree.name), tree.place(key)
    way = _way(tree, read, tree.top(read, head), lambda inner, _: place >= tree.middle(read, inner))
    if way.leaf is not None and way.leaf.place == place:
        return _field(1, _existence(form, way, pair_of, ""))
    because = f"key {key.hex()} is absent, which ics23 proves by the keys on both sides: "
    if way.leaf is None and not way.turns:
        raise Unprovable(because + "the state has none")
    absence = _field(1, key)
    for field, right in ((2, False), (3, True)):
        beside = _beside(tree, read, way, place, right)
        if beside is not None:
            absence += _field(field, _existence(form, beside, pair_of, because))
    return _field(2, absence)


Halves = tuple[Optional[Node], Optional[Node]]


class _Turn(NamedTuple):
    """An inner node on a way down."""

    inner: Inner
    halves: Halves
    right: bool  # which half the way goes to


class _Way(NamedTuple):
    """From the root to a leaf, or to where none is."""

    turns: list[_Turn]
    leaf: Leaf | None


def _way(tree: Tree, read: ReadNodes, node: Node | None, goes_right: Callable[[Inner, Halves], bool]) -> _Way:
    turns = []
    while isinstance(node, Inner):
        halves = tree.split(read, node)
        turns.append(_Turn(node, halves, goes_right(node, halves)))
        node = halves[turns[-1].right]
    return _Way(turns, node)


def _beside(tree: Tree, read: ReadNodes, way: _Way, place: bytes, right: bool) -> _Way | None:
    """From a way to where `place` would be, the way to the next leaf on one side of it; None if there is no leaf there."""
    if way.leaf is not None and (way.leaf.place > place) == right:
        return way

    def back(inner: Inner, halves: Halves) -> bool:
        """To the nearest leaf: away from that side, unless nothing is there."""
        return right == (halves[not right] is None)

    for at in reversed(range(len(way.turns))):
        turn = way.turns[at]
        if turn.right != right and turn.halves[right] is not None:
            below = _way(tree, read, turn.halves[right], back)
            return _Way([*way.turns[:at], turn._replace(right=right), *below.turns], below.leaf)
    return None


class _Form(NamedTuple):
    """A tree as ics23 sees it: a node is hashed from its tag, its meta and what it holds; an inner one holds the hashes of
    its halves, a mark before each."""

    leaf_op: bytes  # the fields before the prefix
    leaf_prefix: bytes  # what the prefix of every leaf begins with
    leaf_tag: bytes
    inner_tag: bytes
    mark: bytes
    min_prefix: int  # bytes of an inner node before its first hash
    max_prefix: int
    empty_child: bytes
    spec_depth: int  # 0: the spec does not say it
    max_depth: int  # inner nodes on a path
    sorts_by_hash: bool

    def before(self, inner: Inner) -> bytes:
        """What is hashed before the first half of a node."""
        return self.inner_tag + inner.meta + self.mark


def _existence(form: _Form, way: _Way, pair_of: PairOf, because: str) -> bytes:
    """The ExistenceProof of the leaf at the end of a way."""
    assert way.leaf is not None
    key, value = pair_of(way.leaf)
    if not value:
        raise Unprovable(f"{because}the value of key {key.hex()} is empty, and ics23 has no proof of such a value")
    if len(way.turns) > form.max_depth:
        raise Unprovable(f"{because}{len(way.turns)} nodes are above key {key.hex()}, and ics23 allows {form.max_depth}")
    longest = max((len(form.before(turn.inner)) for turn in way.turns), default=0)
    if longest > form.max_prefix:
        raise Unprovable(f"{because}a node above key {key.hex()} begins with {longest} bytes, and ics23 allows {form.max_prefix}")
    leaf_op = form.leaf_op + _field(5, form.leaf_tag + way.leaf.meta)
    path = b"".join(_field(4, _inner_op(form, turn)) for turn in reversed(way.turns))
    return _field(1, key) + _field(2, value) + _field(3, leaf_op) + path


def _inner_op(form: _Form, turn: _Turn) -> bytes:
    before, other = form.before(turn.inner), turn.halves[not turn.right]
    hash = form.empty_child if other is None else other.hash
    if turn.right:
        return _number(1, _SHA256) + _field(2, before + hash + form.mark)
    return _number(1, _SHA256) + _field(2, before) + _field(3, form.mark + hash)


def _form(tree: str) -> _Form:
    try:
        return _FORMS[tree]
    except KeyError:
        raise ValueError(f"tree {tree!r:.80} has no proofs in the format ics23: {' and '.join(_FORMS)} have") from None


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def _field(field: int, body: bytes) -> bytes:
    """Bytes, or a message within."""
    return varint(field << 3 | 2) + varint(len(body)) + body if body else b""


_SHA256 = 1  # of enum HashOp
_VAR_PROTO = 1  # of enum LengthOp: the length as a varint goes before key and value hash

_FORMS = {
    # penumbra jmt 0.12, src/tree/ics23_impl.rs. Two keys share 64 bits of their hashes only if 2**32 were tried.
    "jellyfish": _Form(
        leaf_op=_number(1, _SHA256) + _number(2, _SHA256) + _number(3, _SHA256),
        leaf_prefix=b"JMT::LeafNode",
        leaf_tag=b"JMT::LeafNode",
        inner_tag=b"JMT::IntrnalNode",
        mark=b"",
        min_prefix=16,
        max_prefix=16,
        empty_child=b"SPARSE_MERKLE_PLACEHOLDER_HASH__",
        spec_depth=64,
        max_depth=64,
        sorts_by_hash=True,
    ),
    # IavlSpec of cosmos/ics23, go/proof.go, where a depth that is not said is 128.
    "iavl": _Form(
        leaf_op=_number(1, _SHA256) + _number(3, _SHA256) + _number(4, _VAR_PROTO),
        leaf_prefix=b"\0",
        leaf_tag=b"",
        inner_tag=b"",
        mark=b"\x20",
        min_prefix=4,
        max_prefix=12,
        empty_child=b"",
        spec_depth=0,
        max_depth=128,
        sorts_by_hash=False,
    ),
}
