"""ICS23 proofs against naive trees: what is true verifies, what is not does not, no proof can be changed, and what ics23
cannot prove is said. Whether real ics23 libraries think so too: tests/cross.

IOI_STORAGE_SEEDS states a tree.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Optional

import naive_iavl
import pytest
from test_proofs import SEEDS, Naive, NaiveIavl, both, random_state, refused

from ioi_storage import Store, Unprovable, ics23
from ioi_storage.trees import Inner, Leaf, Node, TreeHead
from ioi_storage.verify_ics23 import verify_absence, verify_existence


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
@pytest.mark.parametrize("seed", range(SEEDS))
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


def test_versions() -> None:
    with Store.create(None, meta={}, genesis=[(b"a", b"0"), (b"b", b"0")]) as store:
        roots = [store.root]
        for batch in ([(b"a", b"1")], [(b"a", None)], [(b"b", None)], [(b"c", b"3")]):
            staged = store.stage(batch)
            store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=1, failed=0)
            roots.append(store.root)
        verify_existence(roots[0], "jellyfish", b"a", b"0", store.prove_ics23(b"a", 0))
        verify_existence(roots[1], "jellyfish", b"a", b"1", store.prove_ics23(b"a", 1))
        verify_absence(roots[2], "jellyfish", b"a", store.prove_ics23(b"a", 2))
        with pytest.raises(Unprovable, match="the state has none"):
            store.prove_ics23(b"a", 3)
        verify_existence(roots[4], "jellyfish", b"c", b"3", store.prove_ics23(b"c"))
        refused(verify_absence, roots[1], "jellyfish", b"a", store.prove_ics23(b"a", 2))
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
