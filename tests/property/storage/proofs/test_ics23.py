"""ICS23 proofs against naive trees: what is true verifies, what is not does not, no proof can be changed, and what ics23
cannot prove is said. Whether real ics23 libraries think so too: tests/cross.

IOI_STORAGE_SEEDS states a tree.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Optional

import naive_iavl
import pytest
from ioi_storage import Store, Unprovable
from ioi_storage.proofs import ics23
from ioi_storage.trees.seam import Inner, Leaf, Node, TreeHead
from ioi_storage.verify_ics23 import verify_absence, verify_existence
from test_proofs import SEEDS, Naive, NaiveIavl, both, random_state, refused


class Ics23:
    """A state with both trees, and its proofs; `neighbours` is what they should be made of."""

    def __init__(self, naive: Naive) -> None:
        self.root, self.tree, self.state, self.place = naive.root, naive.tree, naive.state, naive.place
        tree, read, head = naive._prove.args
        by_hash = {sha256(key).digest(): (key, value) for key, value in self.state.items()}
        self._prove = partial(ics23.prove, tree, read, head, pair_of=lambda leaf: by_hash[leaf.key_hash])

    def prove(self, key: bytes) -> bytes:
        return self._prove(key)

    def neighbours(self, key: bytes) -> tuple[Optional[bytes], Optional[bytes]]:
        at = self.place(key)
        placed = sorted((self.place(there), there) for there in self.state)
        left = [there for place, there in placed if place < at]
        right = [there for place, there in placed if place > at]
        return (left[-1] if left else None), (right[0] if right else None)

    def verify(self, key: bytes, proof: bytes) -> None:
        """That it proves what is true."""
        if key in self.state:
            verify_existence(self.root, self.tree, key, self.state[key], proof)
        else:
            verify_absence(self.root, self.tree, key, proof)


def keys_of(ours: Ics23, rng: random.Random) -> list[bytes]:
    there = rng.sample(sorted(ours.state), min(len(ours.state), 7))
    return [*there, *(key + b"\0" for key in there), *(rng.randbytes(2) for _ in range(6)), b"\0", b"\xff" * 6]


@both
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_true(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    ours = Ics23(Naive(tree, random_state(rng), rng))
    keys = keys_of(ours, rng)
    for key in keys:
        needed = [key] if key in ours.state else [there for there in ours.neighbours(key) if there is not None]
        empty = [there for there in needed if not ours.state[there]]
        if not needed or empty:
            why = f"value of key {empty[0].hex()} is empty" if empty else f"key {key.hex()} is absent.*the state has none"
            with pytest.raises(Unprovable, match=why):
                ours.prove(key)
            continue
        proof = ours.prove(key)
        ours.verify(key, proof)
        if key in ours.state:
            refused(verify_existence, ours.root, tree, key, ours.state[key] + b"x", proof)
            refused(verify_existence, ours.root, tree, key, b"", proof)
        else:
            refused(verify_existence, ours.root, tree, key, b"x", proof)
            refused(verify_absence, ours.root, "iavl" if tree == "jellyfish" else "jellyfish", key, proof)
            refused(verify_absence, sha256(ours.root).digest(), tree, key, proof)
        for other in keys:
            if other != key or key in ours.state:
                refused(verify_absence, ours.root, tree, other, proof)
            if other != key and other in ours.state:
                refused(verify_existence, ours.root, tree, other, ours.state[other], proof)


@both
@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_every_byte_counts(size: int, tree: str) -> None:
    rng = random.Random(size)
    ours = Ics23(Naive(tree, {b"k%d" % i: b"v" for i in range(size)}, rng))
    for key in (b"k0", b"k00", b"z"):
        proof, check = ours.prove(key), partial(ours.verify, key)
        check(proof)
        for at in range(len(proof)):
            for bit in range(8):
                refused(check, proof[:at] + bytes([proof[at] ^ 1 << bit]) + proof[at + 1 :])
            refused(check, proof[:at])
            inserted = {proof[:at] + bytes([new]) + proof[at:] for new in (0, 1, proof[at], 0x12, 0x22)}
            for other in {proof[:at] + proof[at + 1 :], proof[at + 1 :], *inserted}:
                refused(check, other)
        for more in (b"\0", b"\x0a\0", b"\x12\0", b"\x1a\0", proof, b"\x28\0"):
            refused(check, proof + more)
            refused(check, more + proof)


def field(number: int, body: bytes) -> bytes:
    return naive_iavl.varint(number << 3 | 2) + naive_iavl.varint(len(body)) + body


def unwrapped(proof: bytes) -> bytes:
    """What stands in the one field of a message."""
    at = 1
    while proof[at] > 127:
        at += 1
    return proof[at + 1 :]


@both
@pytest.mark.parametrize("seed", range(12))
def test_no_other_neighbours(seed: int, tree: str) -> None:
    """True proofs of existence put together to proofs of absence: only the neighbours prove it, in their order."""
    rng = random.Random(seed)
    ours = Ics23(Naive(tree, {rng.randbytes(2): b"v" for _ in range(rng.choice([1, 2, 3, 5, 9, 14]))}, rng))
    exists = {key: unwrapped(ours.prove(key)) for key in ours.state}
    candidates = [None, *sorted(ours.state)]
    for key in [*(rng.randbytes(2) for _ in range(4)), *rng.sample(sorted(ours.state), 1)]:
        for left in candidates:
            for right in candidates:
                sides = [field(number, exists[side]) for number, side in ((2, left), (3, right)) if side is not None]
                forged = field(2, field(1, key) + b"".join(sides))
                if key not in ours.state and (left, right) == ours.neighbours(key):
                    assert forged == ours.prove(key)
                    verify_absence(ours.root, tree, key, forged)
                else:
                    refused(verify_absence, ours.root, tree, key, forged)


EXISTENCE: dict[int, Any] = {3: {}, 4: {}}
PROOF: dict[int, Any] = {1: EXISTENCE, 2: {2: EXISTENCE, 3: EXISTENCE}}  # which fields are messages


def other_encodings(message: bytes, inside: dict[int, Any]) -> Iterator[bytes]:
    """Of the same message, as protobuf allows them."""
    fields: list[tuple[int, bytes, bytes]] = []  # tag, what it begins with, body
    at = 0
    while at < len(message):
        size, head = message[at + 1], 2
        if message[at] & 7 == 0:
            size = 0  # a number below 128
        elif size > 127:
            size, head = size & 127 | message[at + 2] << 7, 3
        fields.append((message[at], message[at : at + head], message[at + head : at + head + size]))
        at += head + size

    def written(changed: int, by: bytes) -> bytes:
        parts = [head + body for _, head, body in fields]
        return b"".join([*parts[:changed], by, *parts[changed + 1 :]])

    for number, (tag, head, body) in enumerate(fields):
        yield written(number, head + body + head + body)
        yield written(number, bytes([tag | 128, 0]) + head[1:] + body)
        yield written(number, head[:-1] + bytes([head[-1] | 128, 0]) + body)
        yield written(number, b"\x7a\1x" + head + body)
        if number and fields[number - 1] != fields[number]:
            before, after = (part + rest for _, part, rest in fields[number - 1 : number + 1])
            yield message.replace(before + after, after + before, 1)
        for changed in other_encodings(body, inside[tag >> 3]) if tag >> 3 in inside and tag & 7 else ():
            yield written(number, head[:1] + naive_iavl.varint(len(changed)) + changed)
    for more in (b"\x0a\0", b"\x12\0", b"\x1a\0", b"\x22\0", b"\x2a\0", b"\x08\0", b"\x10\0", b"\x18\0", b"\x20\0", b"\x78\1"):
        yield message + more


@both
def test_one_encoding(tree: str) -> None:
    ours = Ics23(Naive(tree, {b"k%d" % i: b"v" for i in range(9)}, random.Random(4)))
    for key in (b"k0", b"k00"):
        others = set(other_encodings(ours.prove(key), PROOF))
        assert len(others) > 50 and ours.prove(key) not in others
        for other in others:
            refused(ours.verify, key, other)


TAG, HALF = b"JMT::IntrnalNode", bytes(range(32))
Ops = Sequence[tuple[bytes, bytes]]


def alone(tree: str, key: bytes, value: bytes, ops: Ops, leaf: Optional[bytes] = None) -> tuple[bytes, bytes]:
    """(root, proof) of a key below nodes that are hashed with these bytes before and after, the lowest first.

    leaf: what the leaf begins with, if not what is right."""
    if tree == "jellyfish":
        prefix, head = b"JMT::LeafNode" if leaf is None else leaf, b"\x08\1\x10\1\x18\1"
        hash = sha256(prefix + sha256(key).digest() + sha256(value).digest()).digest()
    else:
        prefix, head = b"\0\2\2" if leaf is None else leaf, b"\x08\1\x18\1\x20\1"
        hash = sha256(prefix + bytes([len(key)]) + key + b"\x20" + sha256(value).digest()).digest()
    path = b""
    for before, after in ops:
        hash = sha256(before + hash + after).digest()
        path += field(4, b"\x08\1" + field(2, before) + (field(3, after) if after else b""))
    shown = field(2, value) if value else b""
    return hash, field(1, field(1, key) + shown + field(3, head + (field(5, prefix) if prefix else b"")) + path)


def right_path(key: bytes, depth: int) -> list[tuple[bytes, bytes]]:
    """In a Jellyfish tree."""
    bits = sha256(key).digest()
    return [(TAG + HALF, b"") if bits[bit // 8] & 0x80 >> bit % 8 else (TAG, HALF) for bit in reversed(range(depth))]


def test_nodes_that_are_none() -> None:
    """Proofs that do lead to a root, by nodes that no tree has."""
    assert sha256(b"k").digest()[0] >> 6 == 0b10  # its way: right, then left
    good: list[tuple[str, Ops]] = [("jellyfish", right_path(b"k", depth)) for depth in (0, 1, 2, 64)]
    meta = b"\2\4\2"
    left, right = (meta + b"\x20", b"\x20" + HALF), (meta + b"\x20" + HALF + b"\x20", b"")
    good += [("iavl", []), ("iavl", [left]), ("iavl", [right]), ("iavl", [left, (b"\4\6\4\x20", b"\x20" + HALF)])]
    for tree, ops in good:
        root, proof = alone(tree, b"k", b"v", ops)
        verify_existence(root, tree, b"k", b"v", proof)
    bad: list[tuple[str, Ops]] = [("jellyfish", right_path(b"k", 65)), ("iavl", [left, left]), ("iavl", [left, right])]
    upper = right_path(b"k", 1)
    for before, after in (
        (TAG, HALF), (TAG, b""), (TAG + HALF, HALF), (TAG + HALF[1:], b""), (TAG + HALF + b"\0", b""), (TAG + HALF * 2, b""),
        (TAG[1:] + HALF, b""), (b"\0" + HALF, b""), (b"JMT::LeafNode" + HALF, b""),
    ):
        bad.append(("jellyfish", [(before, after)]))
    for before, after in (
        (TAG + HALF, b""), (TAG, b""), (TAG + HALF, HALF), (TAG, HALF[1:]), (TAG, HALF + b"\0"), (TAG, HALF * 2), (TAG[1:], HALF),
        (TAG + b"\0", HALF), (b"\0", HALF), (b"JMT::LeafNode", HALF),
    ):
        bad.append(("jellyfish", [(before, after), *upper]))
    for numbers in (b"\0\4\2", b"\2\2\2", b"\2\4\3", b"\2\5\2", b"\3\4\2", b"\2\4\x82\0", b"\2\4", b"\2\4\2\2", b"\2\4" + b"\xfe" * 9 + b"\1"):
        bad.append(("iavl", [(numbers + b"\x20", b"\x20" + HALF)]))
        bad.append(("iavl", [(numbers + b"\x20" + HALF + b"\x20", b"")]))
    for before, after in (
        (b"", b"\x20" + HALF), (b"\x21", b"\x20" + HALF), (b"\x20", b"\x21" + HALF), (b"\x20", HALF), (b"\x20", HALF + b"\x20"),
        (b"\x20", b"\x20" + HALF[1:]), (b"\x20", b"\x20" + HALF + b"\x20" + HALF), (b"\x20", b""), (HALF + b"\x20", b""),
        (b"\x20" + HALF, b""), (b"\x20" + HALF[1:] + b"\x20", b""), (b"\x20" + HALF + b"\x21", b""), (b"\x21" + HALF + b"\x20", b""),
        (b"\x20" + HALF + b"\x20", b"\x20" + HALF),
    ):
        bad.append(("iavl", [(meta + before, after)]))
    for tree, ops in bad:
        root, proof = alone(tree, b"k", b"v", ops)
        refused(verify_existence, root, tree, b"k", b"v", proof)
    for tree, leaves in (
        ("jellyfish", (b"", b"JMT::LeafNod", b"JMT::LeafNode\0", TAG)),
        ("iavl", (b"", b"\0\2", b"\0\2\2\2", b"\0\4\2", b"\2\2\2", b"\0\2\3", b"\0\2\x82\0", b"\0\0\2", b"\0\2\xfe" + b"\xff" * 8 + b"\2")),
    ):
        for leaf in leaves:
            root, proof = alone(tree, b"k", b"v", [], leaf)
            refused(verify_existence, root, tree, b"k", b"v", proof)


def test_neighbours_in_trees_that_are_none() -> None:
    """IAVL: keys that do not ascend, and half a tree that has the hash of no keys on Jellyfish."""
    leaves = {key: alone("iavl", key, b"v", []) for key in (b"a", b"c")}
    meta = b"\2\4\2\x20"
    swapped = {b"a": (meta + leaves[b"c"][0] + b"\x20", b""), b"c": (meta, b"\x20" + leaves[b"a"][0])}
    (root, left), (same, right) = (alone("iavl", key, b"v", [op]) for key, op in swapped.items())
    assert root == same
    forged = field(2, field(1, b"b") + field(2, unwrapped(left)) + field(3, unwrapped(right)))
    refused(verify_absence, root, "iavl", b"b", forged)
    root, proof = alone("iavl", b"a", b"v", [(meta, b"\x20" + b"SPARSE_MERKLE_PLACEHOLDER_HASH__")])
    refused(verify_absence, root, "iavl", b"b", field(2, field(1, b"b") + field(2, unwrapped(proof))))


@both
def test_a_value_that_is_a_leaf(tree: str) -> None:
    """The hash of a value that looks like a leaf is taken for that leaf, and the leaf above for a node."""
    if tree == "jellyfish":
        value = b"JMT::LeafNode" + sha256(b"k").digest() + sha256(b"v").digest()
    else:
        value = b"\0\2\2\1k\x20" + sha256(b"v").digest()
    naive = Naive(tree, {b"a": value}, random.Random(1))
    if tree == "jellyfish":
        before = b"JMT::LeafNode" + sha256(b"a").digest()
    else:
        before = naive._prove.args[0].tree.meta() + b"\1a\x20"
    leaf, forged = alone(tree, b"k", b"v", [(before, b"")])
    assert leaf == naive.root
    refused(verify_existence, naive.root, tree, b"k", b"v", forged)


def test_only_empty_halves_are_passed_over() -> None:
    """Two keys that agree in 32 bits: all halves beside their path are empty, and both are the ends of the tree."""
    ours = Ics23(Naive("jellyfish", {b"69235": b"x", b"95303": b"y"}, random.Random(1)))
    absent = {side: [b"%d" % i for i in range(60) if ours.neighbours(b"%d" % i)[side] is None] for side in (0, 1)}
    assert absent[0] and absent[1]
    for key in [*absent[0], *absent[1]]:
        proof = ours.prove(key)
        assert proof.count(ics23.spec("jellyfish")[-38:-6]) == 32  # a path of 33, the last step to the other key
        ours.verify(key, proof)
    between = Ics23(Naive("jellyfish", {b"69235": b"x", b"95303": b"y", b"1": b"z"}, random.Random(1)))
    for key in [*absent[0], *absent[1]]:
        refused(verify_absence, between.root, "jellyfish", key, ours.prove(key))


class Deep:
    """A Jellyfish tree with two keys that agree in `depth` - 1 bits: too many hashes to find them."""

    name, ordered = "jellyfish", False

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.leaves = [Leaf(bytes(32), sha256(key).digest(), b"", 0, key, key) for key in (b"a", b"b")]

    def place(self, key: bytes) -> bytes:
        return sha256(key).digest()

    def top(self, read: Any, head: TreeHead) -> Optional[Node]:
        return Inner(bytes(32), b"", None, 1)

    def split(self, read: Any, inner: Inner) -> tuple[Optional[Node], Optional[Node]]:
        if inner.handle == self.depth:
            return self.leaves[1], self.leaves[0]  # as their hashes are
        return Inner(bytes(32), b"", None, inner.handle + 1), None

    def middle(self, read: Any, inner: Inner) -> bytes:
        return max(leaf.place for leaf in self.leaves) if inner.handle == self.depth else b"\xff" * 33


def test_too_deep() -> None:
    assert sha256(b"b").digest() < sha256(b"a").digest()
    for depth in (64, 65):
        prove = partial(ics23.prove, Deep(depth), None, TreeHead(b"", b""), pair_of=lambda leaf: (leaf.key_hash, b"v"))
        for key in (b"a", b"b", b"absent"):
            if depth == 64:
                assert prove(key).count(b"JMT::IntrnalNode") >= 64
                continue
            with pytest.raises(Unprovable, match="65 nodes are above key.*allows 64"):
                prove(key)


def test_numbers_too_long() -> None:
    """An IAVL node of a version that takes ten bytes, of which the spec allows nine."""
    for version in (2**62 - 1, 2**62):
        made = naive_iavl.put(naive_iavl.put(None, b"a", b"1", 1), b"b", b"2", version)
        head = TreeHead(naive_iavl.root_of(made), b"")
        prove = partial(ics23.prove, NaiveIavl(made), None, head, pair_of=lambda leaf: (leaf.place, b"1" if leaf.place == b"a" else b"2"))
        if version < 2**62:
            verify_existence(head.root, "iavl", b"a", b"1", prove(b"a"))
            verify_absence(head.root, "iavl", b"aa", prove(b"aa"))
            continue
        for key in (b"a", b"aa"):
            with pytest.raises(Unprovable, match="begins with 13 bytes, and ics23 allows 12"):
                prove(key)
        op = b"\x08\1" + field(2, made.meta() + b"\x20") + field(3, b"\x20" + made.right.hash())  # type: ignore[union-attr]
        leaf = b"\x08\1\x18\1\x20\1" + field(5, made.left.meta())  # type: ignore[union-attr]
        forged = field(1, field(1, b"a") + field(2, b"1") + field(3, leaf) + field(4, op))
        refused(verify_existence, head.root, "iavl", b"a", b"1", forged)


class Past(Ics23):
    """A version of a store."""

    def __init__(self, store: Store, version: int, state: dict[bytes, bytes]) -> None:
        self.root, self.tree, self.state = store.version_row(version).root, store.tree, state
        self.place = store._tree.place
        self._prove = partial(store.prove_ics23, version=version)


def history(tree: str, rng: random.Random, versions: int) -> list[Past]:
    keys = [rng.randbytes(rng.randint(1, 5)) for _ in range(60)]
    states = [{key: rng.randbytes(4) for key in rng.sample(keys, 20)}]
    store = Store.create(None, tree=tree, meta={}, genesis=states[0].items())
    for _ in range(versions):
        batch = {key: rng.choice([None, rng.randbytes(3)]) for key in rng.sample(keys, rng.randrange(30))}
        staged = store.stage(sorted(batch.items()))
        store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=1, failed=0)
        states.append({key: value for key, value in {**states[-1], **batch}.items() if value is not None})
    return [Past(store, version, state) for version, state in enumerate(states)]


@both
@pytest.mark.parametrize("seed", range(3))
def test_every_version(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    past = history(tree, rng, 8)
    for ours, other in zip(past, [*past[1:], past[0]]):
        for key in keys_of(ours, rng):
            proof = ours.prove(key)
            ours.verify(key, proof)
            if ours.root != other.root:
                refused(verify_absence, other.root, tree, key, proof)
                refused(verify_existence, other.root, tree, key, ours.state.get(key, b"x"), proof)


@both
def test_no_keys(tree: str) -> None:
    with Store.create(None, tree=tree, meta={}, genesis=[(b"a", b"0")]) as store:
        staged = store.stage([(b"a", None)])
        store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=1, failed=0)
        verify_existence(store.version_row(0).root, tree, b"a", b"0", store.prove_ics23(b"a", 0))
        with pytest.raises(Unprovable, match="the state has none"):
            store.prove_ics23(b"a")
        with pytest.raises(ValueError, match="a key has 1 to"):
            store.prove_ics23(b"")


def test_rubbish() -> None:
    rng = random.Random(5)
    for tree in ("jellyfish", "iavl"):
        for proof in rubbish(rng):
            refused(verify_absence, bytes(32), tree, b"k", proof)
            refused(verify_existence, bytes(32), tree, b"k", b"v", proof)
        refused(verify_absence, bytes(31), tree, b"k", b"")
    for wrong in (verify_absence, ics23.spec):
        with pytest.raises(ValueError, match="oak"):
            wrong("oak") if wrong is ics23.spec else wrong(bytes(32), "oak", b"k", b"")  # type: ignore[operator]


def rubbish(rng: random.Random) -> Sequence[bytes]:
    made = [b"", b"\x0a", b"\x12\0", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", b"\x0a\x80\0", b"\x12" * 5000, b"\x0a" * 5000]
    for _ in range(3000):
        body = b""
        for _ in range(rng.randrange(5)):
            body = field(rng.choice([1, 2, 3, 4, 5]), body or rng.randbytes(rng.choice([1, 2, 32, 33]))) + rng.choice([b"", body])
        made.append(field(rng.choice([1, 2]), body))
    return made
