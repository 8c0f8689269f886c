"""Real ics23 libraries verify what is proven here, and nothing that is not: cosmos/ics23/go, and with IOI_ICS23_RUST=1
(which builds for minutes, once) the Rust crate and penumbra's jmt, whose own proofs must be ours byte for byte.

IOI_STORAGE_SEEDS states a tree.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Optional

import pytest
from ics23_peers import Peer, cargo_peer, go_peer

sys.path.append(str(Path(__file__).parents[1] / "property" / "storage" / "proofs"))

from ioi_storage import Unprovable, ics23
from ioi_storage.verify_ics23 import InvalidProof, verify_absence, verify_existence
from test_ics23 import (
    PROOF,
    Ics23,
    alone,
    field,
    history,
    keys_of,
    other_encodings,
    unwrapped,
)
from test_proofs import SEEDS, Naive, random_state

# What is compared with has to be compiled first; in make test naive trees and published vectors stand for it.
pytestmark = pytest.mark.long
SOURCES = Path(__file__).parent / "ics23"
SPECS = {tree: ics23.spec(tree).hex() for tree in ("jellyfish", "iavl")}
REFUSED = {"false", "panic", "undecodable"}


@pytest.fixture(scope="module")
def rust() -> Peer:
    if "IOI_ICS23_RUST" not in os.environ:
        pytest.skip("IOI_ICS23_RUST is not set")
    return cargo_peer(SOURCES / "rust", "real-ics23")


@pytest.fixture(scope="module", params=["go", "rust"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    if request.param == "rust":
        return request.getfixturevalue("rust")
    return go_peer(SOURCES / "go", tmp_path_factory.mktemp("ics23") / "real-ics23")


def question(tree: str, root: bytes, key: bytes, value: Optional[bytes], proof: bytes) -> str:
    """value: None is absent."""
    return f"verify {SPECS[tree]} {root.hex()} {key.hex()} {'-' if value is None else value.hex()} {proof.hex()}"


def accepted(tree: str, root: bytes, key: bytes, value: Optional[bytes], proof: bytes) -> bool:
    """By our verifier."""
    try:
        if value is None:
            verify_absence(root, tree, key, proof)
        else:
            verify_existence(root, tree, key, value, proof)
    except InvalidProof:
        return False
    return True


def states(size: Callable[[dict[bytes, bytes]], bool] = bool) -> Iterator[tuple[Ics23, random.Random]]:
    """Of both trees, with empty values among them."""
    for seed in SEEDS:
        for tree in ("jellyfish", "iavl"):
            rng = random.Random(seed)
            state = random_state(rng)
            if size(state):
                yield Ics23(Naive(tree, state, rng)), rng


def test_the_specs(real: Peer) -> None:
    answers = real.ask(["spec iavl", "spec jellyfish"])
    assert answers[0] == SPECS["iavl"]
    assert answers[1] in (SPECS["jellyfish"], "-")  # only the Rust one comes with jmt


def test_what_is_true(real: Peer) -> None:
    true, false, proofs = [], [], []
    for ours, rng in states():
        other = "iavl" if ours.tree == "jellyfish" else "jellyfish"
        keys = keys_of(ours, rng)
        for key in keys:
            try:
                proof = ours.prove(key)
            except Unprovable:
                continue
            proofs.append(proof.hex())
            value = ours.state.get(key)
            true.append(question(ours.tree, ours.root, key, value, proof))
            false.append(question(ours.tree, ours.root, key, None if value else b"x", proof))
            false.append(question(other, ours.root, key, value, proof))
            false.append(question(ours.tree, sha256(ours.root).digest(), key, value, proof))
            false.append(question(ours.tree, ours.root, rng.choice(sorted(ours.state)), None, proof))
            if value is not None:
                false.append(question(ours.tree, ours.root, key, value + b"x", proof))
                false.append(question(ours.tree, ours.root, key + b"\0", value, proof))
    assert len(true) > 5 * len(SEEDS)
    assert set(real.ask(true)) == {"true"}
    assert set(real.ask(false)) <= REFUSED
    assert real.ask(f"decode {proof}" for proof in proofs) == proofs  # written as the library writes them


def test_every_version_of_a_store(real: Peer) -> None:
    asked = []
    for tree in ("jellyfish", "iavl"):
        rng = random.Random(8)
        for ours in history(tree, rng, 12):
            asked += [question(tree, ours.root, key, ours.state.get(key), ours.prove(key)) for key in keys_of(ours, rng)]
    assert len(asked) > 400
    assert set(real.ask(asked)) == {"true"}


def test_changed_proofs(real: Peer) -> None:
    """What the library accepts of changed proofs says the same as the proof did; ours accepts none."""
    claims, changed = [], []
    for ours, rng in states(lambda state: 0 < len(state) < 20):
        for key in keys_of(ours, rng)[:4]:
            try:
                proof = ours.prove(key)
            except Unprovable:
                continue
            for _ in range(25):
                other = mutated(proof, rng)
                if other != proof:
                    claims.append((ours.tree, ours.root, key, ours.state.get(key)))
                    changed.append((proof, other))
    assert len(changed) > 20 * len(SEEDS)
    assert not any(accepted(*claim, other) for claim, (_, other) in zip(claims, changed))
    answers = real.ask(question(*claim, other) for claim, (_, other) in zip(claims, changed))
    passed = [pair for pair, answer in zip(changed, answers) if answer == "true"]
    assert set(answers) <= {"true", *REFUSED} and len(passed) < len(changed) / 10
    for (proof, _), decoded in zip(passed, real.ask(f"decode {other.hex()}" for _, other in passed)):
        assert without_key(bytes.fromhex(decoded)) == without_key(proof)


def test_other_encodings(real: Peer) -> None:
    """Which say the same to whoever reads protobuf; ours has one."""
    ours = Ics23(Naive("iavl", {b"k%d" % i: b"v" for i in range(9)}, random.Random(4)))
    for key in (b"k0", b"k00"):
        proof = ours.prove(key)
        others = sorted(set(other_encodings(proof, PROOF)))
        same = [word == proof.hex() for word in real.ask(f"decode {other.hex()}" for other in others)]
        answers = real.ask(question("iavl", ours.root, key, ours.state.get(key), other) for other in others)
        assert sum(same) > 20 and all(answer == "true" for answer, equal in zip(answers, same) if equal)


def without_key(proof: bytes) -> bytes:
    """A proof of absence names a key at its beginning, which the libraries do not look at."""
    if proof[0] != 0x12:
        return proof
    inside = unwrapped(proof)
    return inside[2 + inside[1] :] if inside[0] == 0x0A else inside


def mutated(proof: bytes, rng: random.Random) -> bytes:
    at, to = sorted(rng.choices(range(len(proof) + 1), k=2))
    return rng.choice(
        [
            proof[:at] + bytes([proof[at] ^ 1 << rng.randrange(8)]) + proof[at + 1 :] if at < len(proof) else proof[:-1],
            proof[:at] + rng.randbytes(1) + proof[at + 1 :],
            proof[:at] + proof[to:],
            proof[:to] + proof[at:],
            proof[:at] + rng.randbytes(rng.randint(1, 3)) + proof[at:],
        ]
    )


def test_all_pairs_of_neighbours(real: Peer) -> None:
    """Proofs of existence put together to proofs of absence: the library accepts the same as ours, the true ones."""
    claims, proofs, true = [], [], 0
    for ours, rng in states(lambda state: 0 < len(state) < 20 and all(state.values())):
        exists = {key: unwrapped(ours.prove(key)) for key in ours.state}
        for key in (rng.randbytes(2), rng.randbytes(3), rng.choice(sorted(ours.state))):
            for left in (None, *ours.state):
                for right in (None, *ours.state):
                    sides = [field(number, exists[side]) for number, side in ((2, left), (3, right)) if side is not None]
                    claims.append((ours.tree, ours.root, key, None))
                    proofs.append(field(2, field(1, key) + b"".join(sides)))
            true += key not in ours.state
    answers = real.ask(question(*claim, proof) for claim, proof in zip(claims, proofs))
    assert [answer == "true" for answer in answers] == [accepted(*claim, proof) for claim, proof in zip(claims, proofs)]
    assert answers.count("true") == true > 0 and set(answers) <= {"true", *REFUSED}


def test_the_limits(real: Peer) -> None:
    """What is Unprovable is so: the libraries refuse it, and what is just within the limits they do not."""
    tag, half = b"JMT::IntrnalNode", bytes(32)
    bits = sha256(b"k").digest()
    deep = [(tag + half, b"") if bits[bit // 8] & 0x80 >> bit % 8 else (tag, half) for bit in range(63, -1, -1)]
    numbers = b"\2\4\xfe" + b"\xff" * 7  # and the last of a version of nine bytes, or ten
    good = [
        ("jellyfish", b"k", b"v", []),
        ("jellyfish", b"k", b"v", deep),
        ("iavl", b"k", b"v", []),
        ("iavl", b"k", b"v", [(numbers + b"\x7f\x20", b"\x20" + half)]),
        ("iavl", b"k", b"v", [(numbers + b"\x7f\x20" + half + b"\x20", b"")]),
    ]
    bad = [
        ("jellyfish", b"k", b"", []),
        ("iavl", b"k", b"", []),
        # Of a key from the left the libraries see it only when they compare neighbours.
        ("iavl", b"k", b"v", [(numbers + b"\xff\1\x20" + half + b"\x20", b"")]),
    ]
    too_deep = ("jellyfish", b"k", b"v", [(tag, half), *deep])
    cases = []
    for case in [*good, *bad, too_deep]:
        root, proof = alone(*case)
        cases.append((case[0], root, case[1], case[2], proof))
    answers = real.ask(question(*case) for case in cases)
    assert answers[: len(good)] == ["true"] * len(good)
    assert answers[len(good) : -1] == ["false"] * len(bad)
    assert [accepted(*case) for case in cases] == [True] * len(good) + [False] * len(bad) + [False]
    has_jmt = real.ask(["spec jellyfish"]) != ["-"]
    assert answers[-1] == ("true" if has_jmt else "false")  # the Rust crate minds max_depth only beside a min_depth


def test_absence_from_an_empty_tree(real: Peer) -> None:
    for tree, root in (("jellyfish", b"SPARSE_MERKLE_PLACEHOLDER_HASH__"), ("iavl", sha256(b"").digest())):
        proofs = [field(2, field(1, b"k")), b"", b"\x12\0"]
        assert set(real.ask(question(tree, root, b"k", None, proof) for proof in proofs)) <= REFUSED


def test_jmt_proves_the_same(rust: Peer) -> None:
    asked, expected = [], []
    for ours, rng in states():
        if ours.tree == "jellyfish":
            asked.append("tree " + " ".join(f"{key.hex()} {value.hex()}" for key, value in ours.state.items()))
            expected.append(ours.root.hex())
            for key in keys_of(ours, rng):
                try:
                    expected.append(ours.prove(key).hex())
                except Unprovable:
                    continue
                asked.append(f"prove {key.hex()}")
    assert len(asked) > 2 * len(SEEDS)
    assert rust.ask(asked) == expected
