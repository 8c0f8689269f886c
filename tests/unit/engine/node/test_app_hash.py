"""The app hash: its value, which never changes again, and proofs to it."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from abci_client import CHAIN, PARAMS, VALIDATOR
from ioi_storage.verify_ics23 import InvalidProof
from node_chains import Chain, Make

from ioi_exec.node.app_hash import (
    NODE,
    STATE,
    app_hash,
    prove_entry,
    verify_entry,
    verify_key,
)
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.messages import ProofOp, ProofOps, QueryRequest

CONSENSUS = Consensus.of(CHAIN, PARAMS, (VALIDATOR,))
ROOT = bytes(range(32))


def simple_map(entries: dict[bytes, bytes]) -> bytes:
    """CometBFT's: RFC 6962 over the entries in order; with two of them one inner node."""
    leaves = []
    for name, value in sorted(entries.items()):
        leaves.append(sha256(b"\0" + bytes([len(name)]) + name + bytes([32]) + sha256(value).digest()).digest())
    left, right = leaves
    return sha256(b"\1" + left + right).digest()


def test_never_changes() -> None:
    encoded = (
        "0a0a746573742d636861696e122d0a10088080800210ffffffffffffffffff0112" "0e08a08d0612040880c60a188080401a090a0765643235353139"
        "1a260a220a20" + (b"v" * 32).hex() + "100a"
    )
    assert CONSENSUS.encode().hex() == encoded
    assert Consensus.decode(CONSENSUS.encode()) == CONSENSUS
    assert app_hash(ROOT, CONSENSUS.encode()) == simple_map({b"node": CONSENSUS.encode(), b"state": ROOT})
    assert app_hash(ROOT, CONSENSUS.encode()).hex() == "6131fe06269b0f325cb6785541ec58b7d38effaeb5ba4f295e6c6099bc2114bc"


def test_entries_are_proven() -> None:
    encoded = CONSENSUS.encode()
    hash = app_hash(ROOT, encoded)
    assert verify_entry(hash, STATE, prove_entry(STATE, ROOT, encoded)) == ROOT
    assert verify_entry(hash, NODE, prove_entry(NODE, ROOT, encoded)) == encoded


@pytest.mark.parametrize("name", [STATE, NODE])
def test_no_changed_proof_of_an_entry_is_accepted(name: bytes) -> None:
    encoded = CONSENSUS.encode()
    hash, op, rng = app_hash(ROOT, encoded), prove_entry(name, ROOT, encoded), random.Random(3)
    data = op.data
    changed = [data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] for at in range(len(data))]
    changed += [data[:at] for at in range(len(data))] + [data + b"\0", data + data, data + b"\x10\1"]
    for other in changed:
        with pytest.raises(InvalidProof):
            verify_entry(hash, name, ProofOp(op.type, op.key, other))
    for wrong in (ProofOp("ics23:iavl", op.key, data), ProofOp(op.type, b"stat", data)):
        with pytest.raises(InvalidProof):
            verify_entry(hash, name, wrong)
    with pytest.raises(InvalidProof):
        verify_entry(hash, NODE if name == STATE else STATE, op)
    with pytest.raises(InvalidProof):
        verify_entry(sha256(hash).digest(), name, op)


@pytest.mark.parametrize("tree", ["jellyfish", "iavl"])
def test_a_query_is_proven_against_the_next_header(make: Make, tree: str) -> None:
    chain = make(tree=tree).begin()
    hashes = {height: chain.decide(b"b=%d" % height, b"c=%d" % height).app_hash for height in range(1, 5)}
    for height in (0, 1, 2, 3, 4):
        for key in (b"a", b"b", b"bb", b"zzz"):
            answer = chain.application.query(QueryRequest(key, "/store/state/key", height, True))
            at = height or 3  # the newest that has a header
            assert (answer.code, answer.height, answer.key) == (0, at, key) and answer.proof_ops is not None
            expected = {b"a": b"0", b"b": b"%d" % at}.get(key)
            assert answer.value == (expected or b"")
            verify_key(hashes[at], tree, key, expected, answer.proof_ops)
            refuse(hashes[at], tree, key, expected, answer.proof_ops)


def refuse(hash: bytes, tree: str, key: bytes, value: bytes | None, proof: ProofOps) -> None:
    other = b"x" if value is None else None
    inside, outside = proof.ops
    for wrong in (
        (sha256(hash).digest(), tree, key, value, proof), (hash, tree, key, other, proof), (hash, tree, key + b"x", value, proof),
        (hash, {"iavl": "jellyfish", "jellyfish": "iavl"}[tree], key, value, proof),
        (hash, tree, key, value, ProofOps((outside, inside))), (hash, tree, key, value, ProofOps((inside,))),
    ):
        with pytest.raises(InvalidProof):
            verify_key(*wrong)


def test_what_the_consensus_is_set_to_is_proven(chain: Chain) -> None:
    done = chain.decide(b"set block.max_gas 7")
    chain.decide()
    answer = chain.application.query(QueryRequest(b"", "/node", 0, True))
    assert answer.proof_ops is not None and answer.height == 1
    assert verify_entry(done.app_hash, NODE, answer.proof_ops.ops[0]) == answer.value == done.consensus.encode()


@pytest.mark.parametrize(
    "path, data, height, prove, said",
    [
        ("/store/state/key", b"a", 9, False, "height 9"),
        ("/store/state/key", b"", 0, True, "key"),
        ("value", b"a", 9, False, "height 9"),
        ("value", b"a", 0, True, "cannot be proven"),
        ("nothing", b"a", 0, False, "there is no nothing"),
    ],
)
def test_what_cannot_be_answered(chain: Chain, path: str, data: bytes, height: int, prove: bool, said: str) -> None:
    for _ in range(3):
        chain.decide()
    answer = chain.application.query(QueryRequest(data, path, height, prove))
    assert answer.code != 0 and said in answer.log and answer.value == b"" and answer.proof_ops is None


def test_a_vm_is_asked_about_an_earlier_height(chain: Chain) -> None:
    for value in (b"1", b"2", b"3"):
        chain.decide(b"a=" + value)
    answer = chain.application.query(QueryRequest(b"a", "value", 2))
    assert (answer.value, answer.height) == (b"2", 2)


def test_a_vm_is_asked(chain: Chain) -> None:
    chain.decide(b"b=5")
    answer = chain.application.query(QueryRequest(b"b", "value"))
    assert (answer.code, answer.value, answer.height) == (0, b"5", 1)


def test_before_there_is_a_header(chain: Chain) -> None:
    answer = chain.application.query(QueryRequest(b"a", "/store/state/key", 0, True))
    assert answer.code != 0 and "no header" in answer.log
    assert chain.application.query(QueryRequest(b"a", "/store/state/key")).value == b"0"
