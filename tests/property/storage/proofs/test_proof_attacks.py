"""Proofs made by somebody who wants to be believed: partial trees that do lead to the root, but show something else than
the claim needs, every change of a small proof, and bytes that only look like one.

IOI_STORAGE_SEEDS states a tree, IOI_PROOF_FUZZ proofs made up; a failure names its seed (the test's parameter)."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import effort
import pytest
from ioi_storage.proofs.prove import _encoded
from ioi_storage.proofs.verify import (
    FORMAT,
    INNER,
    InvalidProof,
    verify_absence,
    verify_existence,
    verify_many,
    verify_range,
)
from test_proofs import Naive, both, random_state, refused

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=15, many=80)
FUZZ = effort.amount("IOI_PROOF_FUZZ", sample=3000, many=20_000)


class Forger:
    """Writes any partial tree of a state."""

    def __init__(self, naive: Naive) -> None:
        prove, self._tree = naive._prove, naive._prove.args[0]
        self._read, self._head = prove.args[1:]
        self.places = sorted(map(naive.place, naive.state))

    def tree(self, shown: set[bytes], claimed: set[bytes], span: Any = None) -> bytes:
        return _encoded(self._tree, self._read, self._head, sorted(shown), span, claimed.__contains__)


_judged = 0


@pytest.fixture(autouse=True, scope="module")
def how_many() -> Iterator[None]:
    """What a run with -s says in the end."""
    yield
    print(f"\n{_judged:,} forged proofs, beside those that are made up")


def accepted(check: Any, proof: bytes) -> bool:
    global _judged
    _judged += 1
    try:
        check(proof)
    except InvalidProof:
        return False
    return True


@both
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_partial_tree_proves_it(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    naive = Naive(tree, random_state(rng), rng)
    forger = Forger(naive)
    same = 0
    for turn in range(1000):
        if turn >= 30 and same:  # few states make the proof itself rare
            break
        there = rng.sample(sorted(naive.state), min(len(naive.state), rng.randrange(3)))
        keys = [*there, *(rng.randbytes(2) for _ in range(rng.randrange(0 if there else 1, 3)))]
        check = partial(verify_many, naive.root, tree, {key: naive.state.get(key) for key in keys})
        proof = naive.prove(*keys)
        places = set(map(naive.place, keys))
        absent = [naive.place(key) for key in keys if key not in naive.state]
        near = {here for at in absent for here in around(forger.places, at) if rng.random() < 0.9}
        more = rng.choice([0, 0, 0.01, 0.5])
        shown = rng.choice([set(), places, places, places]) | rng.choice([set(), near])
        shown |= {here for here in forger.places if rng.random() < more}
        forged = forger.tree(shown, rng.choice([places, places, set(), set(forger.places)]))
        assert accepted(check, forged) == (forged == proof)
        same += forged == proof
    assert same


def around(places: list[bytes], at: bytes) -> list[bytes]:
    """The nearest places on both sides."""
    return [here for here in places if here < at][-1:] + [here for here in places if here > at][:1]


@both
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_partial_tree_proves_a_range(seed: int, tree: str) -> None:
    rng = random.Random(seed)
    naive = Naive(tree, random_state(rng), rng)
    forger = Forger(naive)
    for _ in range(20):
        bounds = [naive.place(rng.choice([*naive.state, rng.randbytes(2)])) for _ in range(2)]
        start, end = sorted(bounds) if bounds[0] != bounds[1] else (None, None)
        start, end = rng.choice([(start, end), (start, end), (start, None), (None, end)])
        proven = naive.prove_range(start, end)
        inside = {naive.place(key) for key, _ in proven.pairs}
        edges = {here for at in (start, end) if at is not None for here in around(forger.places, at) if rng.random() < 0.9}
        shown = set(rng.sample(sorted(inside), rng.randint(0, len(inside)))) if rng.random() < 0.3 else inside
        span = rng.choice([None, (start or b"", end), (rng.randbytes(32), None), (b"", rng.randbytes(32))])
        claimed = rng.choice([inside, inside, set(), set(forger.places)])
        forged = forger.tree(shown | edges, claimed, span)
        check = partial(verify_range, naive.root, tree, start, end, proven.pairs)
        assert accepted(check, forged) == (forged == proven.proof)
        # The true proof, of a claim that leaves out what lies at an edge, or that reaches further than was proven.
        if proven.pairs:
            first, last = naive.place(proven.pairs[0][0]), naive.place(proven.pairs[-1][0])
            if start != first:
                refused(verify_range, naive.root, tree, after(tree, first), end, proven.pairs[1:], proven.proof)
            if len(proven.pairs) > 1 or start != last:
                refused(verify_range, naive.root, tree, start, last, proven.pairs[:-1], proven.proof)
        for outside in rng.sample(forger.places, min(len(forger.places), 5)):
            if (start is not None and outside < start) or (end is not None and outside >= end):
                wider = (min(start or b"", outside) or None, end and max(end, after(tree, outside)))
                refused(verify_range, naive.root, tree, *wider, proven.pairs, proven.proof)


def after(tree: str, place: bytes) -> bytes:
    """The next place there can be."""
    return place + b"\0" if tree == "iavl" else (int.from_bytes(place, "big") + 1).to_bytes(32, "big")


@both
@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_every_change_of_a_small_proof(size: int, tree: str) -> None:
    rng = random.Random(size)
    naive = Naive(tree, {rng.randbytes(rng.randint(1, 3)): rng.randbytes(rng.randint(0, 3)) for _ in range(size)}, rng)
    for keys in ([b"absent"], list(naive.state)[:1], [*naive.state, b"\0", b"\xff"]):
        if keys:
            check = partial(verify_many, naive.root, tree, {key: naive.state.get(key) for key in keys})
            changes(naive.prove(*keys), check)
    proven = naive.prove_range(None, None)
    changes(proven.proof, partial(verify_range, naive.root, tree, None, None, proven.pairs))


def changes(proof: bytes, check: Any) -> None:
    check(proof)
    for changed in every_change(proof):
        assert changed == proof or not accepted(check, changed), (proof.hex(), changed.hex())


def every_change(proof: bytes) -> Iterator[bytes]:
    """Every other byte at every place; every byte removed; some inserted; neighbours swapped; cut off; twice."""
    for at in range(len(proof)):
        for byte in range(256):
            yield proof[:at] + bytes([byte]) + proof[at + 1 :]
        yield proof[:at] + proof[at + 1 :]
        yield proof[: at - 1] + proof[at : at + 1] + proof[at - 1 : at] + proof[at + 1 :] if at else b""
        yield proof[:at]
    for at in range(len(proof) + 1):
        for byte in (0, 1, 2, 3, 4, 32, 128, 255):
            yield proof[:at] + bytes([byte]) + proof[at:]
    yield proof + proof


@both
def test_made_up(tree: str) -> None:
    """Nodes of every kind one after the other, of no tree."""
    rng = random.Random(FUZZ)
    for _ in range(FUZZ):
        proof = b"\1" + b"".join(some_node(rng) for _ in range(rng.randrange(1, 30)))
        claims = {rng.randbytes(1): rng.choice([None, b"value"]) for _ in range(rng.randrange(1, 5))}
        refused(verify_many, bytes(32), tree, claims, rng.choice([proof, rng.randbytes(40)]))
        refused(verify_range, bytes(32), tree, None, None, [(b"key", b"value")], proof)


def some_node(rng: random.Random) -> bytes:
    numbers = bytes(rng.choice([0, 2, 4, 6, 20, 128, 255]) for _ in range(rng.randrange(4)))
    return bytes([rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])]) + numbers + rng.randbytes(rng.choice([0, 0, 32, 64, 33]))


def test_a_proof_is_no_deeper_for_a_deep_caller() -> None:
    """Whatever a proof holds, only InvalidProof is raised, also where the interpreter has little room for calls left."""

    def deep(calls: int) -> None:
        if calls:
            deep(calls - 1)
        else:
            refused(verify_absence, bytes(32), "jellyfish", b"\0", bytes([FORMAT]) + bytes([INNER]) * 300)

    deep(sys.getrecursionlimit() - 150)


def test_no_value_is_not_a_value() -> None:
    """Who looks up a value, finds none and hands on None must not be told that the key has it."""
    naive = Naive("jellyfish", {b"a": b"1"}, random.Random(1))
    refused(verify_existence, naive.root, "jellyfish", b"b", None, naive.prove(b"b"))
    proven = naive.prove_range(None, None)
    refused(verify_range, naive.root, "jellyfish", None, None, [(b"a", None)], proven.proof)


@both
def test_a_bound_that_is_the_first_of_all(tree: str) -> None:
    naive = Naive(tree, {b"a": b"1", b"b": b"2"}, random.Random(1))
    lowest = b"" if tree == "iavl" else bytes(32)
    proven = naive.prove_range(lowest, None)
    verify_range(naive.root, tree, lowest, None, proven.pairs, proven.proof)
    refused(verify_range, naive.root, tree, None, lowest, [], proven.proof)
