"""Proofs against naive trees: what is true verifies, what is not does not, and no proof can be changed.

IOI_STORAGE_SEEDS states a tree.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Optional

import effort
import naive_iavl
import pytest
from ioi_storage import Store
from ioi_storage.proofs import prove, verify
from ioi_storage.proofs.verify import (
    InvalidProof,
    verify_absence,
    verify_existence,
    verify_many,
    verify_range,
)
from ioi_storage.trees.jellyfish import Jellyfish
from ioi_storage.trees.seam import Inner, Leaf, Node, TreeHead
from naive_tree import naive_root

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=25, many=100)


class NaiveIavl:
    """The binary view of a naive tree."""

    name = "iavl"
    ordered = True
    unfold = None

    def __init__(self, tree: Optional[naive_iavl.Node]) -> None:
        self.tree = tree

    def place(self, key: bytes) -> bytes:
        return key

    def view(self, node: naive_iavl.Node) -> Node:
        if node.left is not None:
            return Inner(node.hash(), node.meta(), None, node)
        key_hash, value_hash = sha256(node.key).digest(), sha256(node.value).digest()
        return Leaf(node.hash(), node.key, node.meta(), node.version - 1, key_hash, value_hash)

    def find(self, read: Any, head: TreeHead, place: bytes) -> Optional[Leaf]:
        found = [leaf for leaf in self.tree.leaves() if leaf.key == place] if self.tree is not None else []
        return self.view(found[0]) if found else None  # type: ignore[return-value]

    def top(self, read: Any, head: TreeHead) -> Optional[Node]:
        return None if self.tree is None else self.view(self.tree)

    def split(self, read: Any, inner: Inner) -> tuple[Node, Node]:
        return self.view(inner.handle.left), self.view(inner.handle.right)

    def middle(self, read: Any, inner: Inner) -> bytes:
        return inner.handle.key


class Naive:
    """A state with both trees, and proofs of it."""

    def __init__(self, tree: str, state: Mapping[bytes, bytes], rng: random.Random) -> None:
        self.tree, self.state = tree, dict(state)
        if tree == "iavl":
            made = None
            for key in rng.sample(sorted(state), len(state)):
                made = naive_iavl.put(made, key, state[key], rng.randint(1, 3000))
            self.root = naive_iavl.root_of(made)
            self._prove = partial(prove.prove, NaiveIavl(made), None, TreeHead(self.root, b""))
            self._prove_range = partial(prove.prove_range, NaiveIavl(made), None, TreeHead(self.root, b""))
        else:
            self.root = naive_root(state)
            self.store = Store.create(None, meta={}, genesis=state.items())
            head = TreeHead(self.store.latest.root, self.store.latest.head)
            self._prove = partial(prove.prove, self.store._tree, self.store._nodes, head)
            self._prove_range = partial(prove.prove_range, self.store._tree, self.store._nodes, head)

    def prove(self, *keys: bytes) -> bytes:
        return self._prove(keys)

    def prove_range(self, start: Optional[bytes], end: Optional[bytes], limit: Optional[int] = None) -> prove.RangeProof:
        by_hash = {sha256(key).digest(): (key, value) for key, value in self.state.items()}
        return self._prove_range(start, end, limit, lambda leaf: by_hash[leaf.key_hash])

    def place(self, key: bytes) -> bytes:
        return key if self.tree == "iavl" else sha256(key).digest()

    def pairs(self, start: Optional[bytes], end: Optional[bytes]) -> list[tuple[bytes, bytes]]:
        placed = sorted((self.place(key), key, value) for key, value in self.state.items())
        return [(k, v) for place, k, v in placed if (start or b"") <= place and (end is None or place < end)]


def random_state(rng: random.Random) -> dict[bytes, bytes]:
    size = rng.choice([0, 1, 2, 3, 5, 17, 80, 300])
    return {rng.randbytes(rng.randint(1, 5)): rng.randbytes(rng.randint(0, 4)) for _ in range(size)}


def some_keys(naive: Naive, rng: random.Random) -> list[bytes]:
    there = rng.sample(sorted(naive.state), min(len(naive.state), rng.randint(0, 6)))
    beside = [key + b"\0" for key in there if rng.random() < 0.5]
    return list({*there, *beside, rng.randbytes(2), b"\0", b"\xff" * 6})


both = pytest.mark.parametrize("tree", ["jellyfish", "iavl"])


@both
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_true(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    naive = Naive(tree, random_state(rng), rng)
    keys = some_keys(naive, rng)
    claims = {key: naive.state.get(key) for key in keys}
    proof = naive.prove(*keys)
    verify_many(naive.root, tree, claims, proof)
    for key in keys:
        single = naive.prove(key)
        if claims[key] is None:
            verify_absence(naive.root, tree, key, single)
            refused(verify_existence, naive.root, tree, key, b"", single)
        else:
            verify_existence(naive.root, tree, key, claims[key], single)
            refused(verify_existence, naive.root, tree, key, claims[key] + b"x", single)
            refused(verify_absence, naive.root, tree, key, single)
        for other in keys:
            if other != key:
                refused(verify_many, naive.root, tree, {other: naive.state.get(other)}, single, unless=single == naive.prove(other))
        refused(verify_many, sha256(naive.root).digest(), tree, {key: claims[key]}, single)
        refused(verify_many, naive.root, "iavl" if tree == "jellyfish" else "jellyfish", {key: claims[key]}, single)
    fewer = dict(list(claims.items())[1:])
    if fewer:
        refused(verify_many, naive.root, tree, fewer, proof, unless=proof == naive.prove(*fewer))


@both
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_ranges(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    naive = Naive(tree, random_state(rng), rng)
    places = [naive.place(key) for key in naive.state] + [naive.place(b"?"), naive.place(rng.randbytes(2))]
    for _ in range(6):
        start, end = (rng.choice([None, *places]) for _ in range(2))
        if start is not None and end is not None and start >= end:
            with pytest.raises(ValueError, match="empty"):
                naive.prove_range(start, end)
            refused(verify_range, naive.root, tree, start, end, [], b"")
            continue
        limit = rng.choice([None, 1, 3])
        proven = naive.prove_range(start, end, limit)
        assert proven.pairs == naive.pairs(start, end)[:limit] and proven.start == start
        assert proven.end == end or len(proven.pairs) == limit
        pairs = proven.pairs
        verify_range(naive.root, tree, start, proven.end, rng.sample(pairs, len(pairs)), proven.proof)
        if pairs:
            left_out = rng.randrange(len(pairs))
            refused(verify_range, naive.root, tree, start, proven.end, pairs[:left_out] + pairs[left_out + 1 :], proven.proof)
            key, value = pairs[left_out]
            changed = pairs[:left_out] + [(key, value + b"!")] + pairs[left_out + 1 :]
            refused(verify_range, naive.root, tree, start, proven.end, changed, proven.proof)
            refused(verify_range, naive.root, tree, start, proven.end, pairs + [pairs[0]], proven.proof)
        refused(verify_range, naive.root, tree, start, proven.end, [*pairs, (rng.randbytes(9), b"")], proven.proof)


def refused(check: Any, *arguments: Any, unless: bool = False) -> None:
    if unless:
        return
    with pytest.raises(InvalidProof):
        check(*arguments)


@both
@pytest.mark.parametrize("seed", range(6))
def test_every_byte_counts(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    naive = Naive(tree, {b"k%d" % i: b"v" for i in range(rng.choice([1, 2, 3, 9]))}, rng)
    for keys in ([b"k0"], [b"k00"], [b"k0", b"k1", b"zz"]):
        check = partial(verify_many, naive.root, tree, {key: naive.state.get(key) for key in keys})
        mutate(naive.prove(*keys), check, rng)
    proven = naive.prove_range(None, None)
    mutate(proven.proof, partial(verify_range, naive.root, tree, None, None, proven.pairs), rng)


def mutate(proof: bytes, check: Any, rng: random.Random) -> None:
    check(proof)
    for at in range(len(proof)):
        for bit in range(8):
            refused(check, proof[:at] + bytes([proof[at] ^ 1 << bit]) + proof[at + 1 :])
        refused(check, proof[:at])
        refused(check, proof[:at] + proof[at + 1 :])
        for inserted in (0, 1, 2, 3, 4, rng.randrange(256)):
            refused(check, proof[:at] + bytes([inserted]) + proof[at:], unless=proof[at - 1 : at + 1].count(inserted) > 0)
    refused(check, proof + b"\0")
    for _ in range(300):
        refused(check, b"\1" + bytes(rng.choice([0, 1, 2, 3, 4, 32, rng.randrange(256)]) for _ in range(rng.randint(0, 90))))


@both
def test_a_hidden_neighbour(tree: str) -> None:
    """A stub where the missing key would be, instead of what is there."""
    naive = Naive(tree, {b"a": b"1", b"b": b"2", b"c": b"3"}, random.Random(1))
    for key in (b"a", b"b", b"c"):
        for other in (b"a", b"b", b"c", b"0", b"d", b"bb"):
            refused(verify_absence, naive.root, tree, key, naive.prove(other))
        refused(verify_absence, naive.root, tree, key, bytes([verify.FORMAT, verify.STUB]) + naive.root)
        refused(verify_absence, naive.root, tree, key, bytes([verify.FORMAT, verify.EMPTY]))
    refused(verify_range, naive.root, tree, None, None, [], bytes([verify.FORMAT, verify.STUB]) + naive.root)


def test_an_inner_node_is_no_leaf() -> None:
    """ics23's first hole: the preimage of an IAVL node read as one of the other kind."""
    naive = Naive("iavl", {b"a": b"1", b"b": b"2"}, random.Random(2))
    proof = naive.prove(b"a")
    as_leaf = bytes([verify.FORMAT, verify.INNER, 0, 2]) + proof[4:]
    refused(verify_existence, naive.root, "iavl", b"a", b"1", as_leaf)


def test_deep_and_hostile() -> None:
    for tree in ("jellyfish", "iavl"):
        for filler in (b"\2", b"\2\x02\x04\x02", b"\2\xc8\x01\x04\x02", b"\0", b"\4" + b"\xff" * 9, b"\4\2\xff\xff\xff\x7f"):
            refused(verify_absence, bytes(32), tree, b"k", b"\1" + filler * 3000)
        refused(verify_absence, bytes(31), tree, b"k", b"\1\0")
        refused(verify_many, bytes(32), tree, {}, b"\1\0")
    with pytest.raises(ValueError, match="oak"):
        verify_absence(bytes(32), "oak", b"k", b"\1\0")


def test_the_module_stands_alone(tmp_path: Path) -> None:
    """A light client copies one file."""
    naive = Naive("jellyfish", {b"a": b"1", b"b": b"2"}, random.Random(3))
    (tmp_path / "verify.py").write_bytes(Path(verify.__file__).read_bytes())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import verify; "
        f"verify.verify_existence({naive.root!r}, 'jellyfish', b'a', b'1', {naive.prove(b'a')!r}); "
        "assert not {m for m in sys.modules if 'ioi' in m or 'lmdb' in m}; print('good')"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "good\n"


@pytest.mark.parametrize("seed", range(8))
def test_a_row_at_once_gives_the_proof_that_single_steps_give(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    pairs = {rng.randbytes(3): rng.randbytes(2) for _ in range(rng.choice([1, 2, 3, 20, 300, 3000]))}
    asked = [
        [rng.choice(list(pairs)) if rng.random() < 0.6 else rng.randbytes(3) for _ in range(count)] for count in (1, 1, 1, 2, 5, 60)
    ]
    with Store.create(None, meta={}, genesis=pairs.items()) as store:
        at_once = [store.prove(keys) for keys in asked]
        monkeypatch.setattr(Jellyfish, "unfold", None)
        assert at_once == [store.prove(keys) for keys in asked]
