"""Proofs of keys, true ones and forged ones, and what the verifier in Python says of each: the page's must say the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Iterator

from ioi_storage import Store, Unprovable
from ioi_storage.verify_ics23 import InvalidProof

from ioi_exec.node.app_hash import OP_OF_TREE, STATE, app_hash, prove_entry, verify_key
from ioi_exec.node.messages import ExistenceProof, InnerOp, LeafOp, ProofOp, ProofOps
from ioi_exec.node.wire import Malformed, decode, encode, message, octets, varint, varint_at

_FIELDS: dict[str, Any] = {"receipts_root": bytes(32), "height": 1, "header": b"", "transactions": 0, "failed": 0}


@dataclass(frozen=True)
class NonExistenceProof:
    key: bytes = octets(1)
    left: ExistenceProof | None = message(2, ExistenceProof)
    right: ExistenceProof | None = message(3, ExistenceProof)


@dataclass(frozen=True)
class CommitmentProof:
    exist: ExistenceProof | None = message(1, ExistenceProof)
    nonexist: NonExistenceProof | None = message(2, NonExistenceProof)


@dataclass(frozen=True)
class Case:
    hash: bytes
    tree: str
    key: bytes
    value: bytes | None
    proof: ProofOps

    def holds(self) -> bool:
        try:
            verify_key(self.hash, self.tree, self.key, self.value, self.proof)
        except InvalidProof:
            return False
        return True

    def to_json(self) -> dict[str, Any]:
        return {
            "hash": self.hash.hex(), "tree": self.tree, "key": self.key.hex(), "value": None if self.value is None else self.value.hex(),
            "ops": [{"type": op.type, "key": op.key.hex(), "data": op.data.hex()} for op in self.proof.ops],
        }


def cases(tree: str, rng: random.Random) -> Iterator[Case]:
    """Of a random state: what can be proven of some keys, and forgeries of it."""
    state, store = _random_state(tree, rng)
    with store:
        root, consensus = store.root, rng.randbytes(rng.randrange(1, 300))
        hash, above = app_hash(root, consensus), prove_entry(STATE, root, consensus)
        there = rng.sample(sorted(state), min(len(state), 4))
        true = []
        for key in [*there, *(key + b"\0" for key in there[:2]), *(rng.randbytes(2) for _ in range(4)), b"\0", b"\xff" * 6]:
            try:
                inside = ProofOp(OP_OF_TREE[tree], key, store.prove_ics23(key))
            except Unprovable:
                continue
            true.append(Case(hash, tree, key, state.get(key), ProofOps((inside, above))))
    for case in true:
        yield case
        yield from _forged(case, rng.choice(true), rng)
    for length in (0, 1, 64, 65, 128, 129, 200):
        for wide in (0, 1 << 48, 1 << 55):
            yield _made_up(tree, length, wide, rng)
    yield from (_beside_nothing(rng) if tree == "jellyfish" else _out_of_order(rng))


def _made_up(tree: str, length: int, wide: int, rng: random.Random) -> Case:
    """A key under so many nodes, as no tree of ours would have it. wide: added to versions, which makes numbers long."""
    key, value, path = rng.randbytes(3), b"v", []
    place = sha256(key).digest()
    for above in range(length):
        other = rng.randbytes(32)
        if tree == "jellyfish":
            bit = length - 1 - above
            right = place[bit // 8] & 0x80 >> bit % 8
            path.append(InnerOp(1, b"JMT::IntrnalNode" + (other if right else b""), b"" if right else other))
        else:
            numbers = b"".join(varint(2 * number) for number in (above + 1, above + 2, above + 1 + wide))
            right = rng.randrange(2)
            path.append(InnerOp(1, numbers + b"\x20" + (other + b"\x20" if right else b""), b"" if right else b"\x20" + other))
    leaf = LeafOp(1, 1, 1, 0, b"JMT::LeafNode") if tree == "jellyfish" else LeafOp(1, 0, 1, 1, b"\0\2" + varint(2))
    data = encode(CommitmentProof(ExistenceProof(key, value, leaf, tuple(path))))
    root = _root_of(data)
    assert root is not None
    return Case(app_hash(root, b"c"), tree, key, value, ProofOps((ProofOp(OP_OF_TREE[tree], key, data), prove_entry(STATE, root, b"c"))))


def _beside_nothing(rng: random.Random) -> Iterator[Case]:
    """One key, deep in a tree with nothing else in it, or with something: no other key is there, or it may be."""
    key, absent = rng.randbytes(3), rng.randbytes(4)
    for other in (b"SPARSE_MERKLE_PLACEHOLDER_HASH__", bytes(32)):
        path: list[InnerOp] = []
        for bit in range(5, -1, -1):
            right = sha256(key).digest()[0] & 0x80 >> bit
            path.append(InnerOp(1, b"JMT::IntrnalNode" + (other if right else b""), b"" if right else other))
        proof = ExistenceProof(key, b"v", LeafOp(1, 1, 1, 0, b"JMT::LeafNode"), tuple(path))
        left = sha256(key).digest() < sha256(absent).digest()
        yield _of_absence("jellyfish", absent, proof if left else None, None if left else proof)


def _out_of_order(rng: random.Random) -> Iterator[Case]:
    """Two keys under one node, one on the wrong side of the other in every second of them."""
    leaf_op = LeafOp(1, 0, 1, 1, b"\0\2\2")
    low, high = (ExistenceProof(key, rng.randbytes(2), leaf_op) for key in (b"a", b"c"))
    numbers = b"\2\4\2"
    for first, second in ((low, high), (high, low)):
        hashes = [_root_of(encode(CommitmentProof(leaf))) for leaf in (first, second)]
        assert hashes[0] is not None and hashes[1] is not None
        above = InnerOp(1, numbers + b"\x20", b"\x20" + hashes[1]), InnerOp(1, numbers + b"\x20" + hashes[0] + b"\x20")
        under = {leaf.key: replace(leaf, path=(step,)) for leaf, step in zip((first, second), above)}
        yield _of_absence("iavl", b"b", under[b"a"], under[b"c"])
        yield _of_absence("iavl", b"d", under[b"c"], None)
        yield _of_absence("iavl", b"B", None, under[b"a"])


def _of_absence(tree: str, key: bytes, left: ExistenceProof | None, right: ExistenceProof | None) -> Case:
    data = encode(CommitmentProof(nonexist=NonExistenceProof(key, left, right)))
    root = _root_of(data)
    assert root is not None
    return Case(app_hash(root, b"c"), tree, key, None, ProofOps((ProofOp(OP_OF_TREE[tree], key, data), prove_entry(STATE, root, b"c"))))


def _random_state(tree: str, rng: random.Random) -> tuple[dict[bytes, bytes], Store]:
    def pairs() -> dict[bytes, bytes]:
        return {rng.randbytes(rng.randint(1, 3)): rng.randbytes(rng.choice((0, 1, 5, 5, 200))) for _ in range(rng.choice((1, 2, 5, 40)))}

    state = pairs()
    store = Store.create(None, tree=tree, meta={}, genesis=state.items())
    for _ in range(rng.randrange(4)):
        writes = pairs()
        state.update(writes)
        store.commit(store.stage(sorted(writes.items())), **_FIELDS)
    return state, store


def _forged(case: Case, other: Case, rng: random.Random) -> Iterator[Case]:
    inside, outside = case.proof.ops

    def with_steps(*ops: ProofOp) -> Case:
        return replace(case, proof=ProofOps(ops))

    yield replace(case, key=other.key)
    yield replace(case, key=case.key + b"\0", proof=ProofOps((replace(inside, key=case.key + b"\0"), outside)))
    yield replace(case, value=b"" if case.value is None else None)
    yield replace(case, value=other.value)
    yield replace(case, value=(case.value or b"") + b"\0")
    yield replace(case, tree="iavl" if case.tree == "jellyfish" else "jellyfish")
    yield replace(case, hash=_flipped(case.hash, rng))
    yield replace(case, hash=case.hash[:-1])
    yield with_steps(outside, inside)
    yield with_steps(inside)
    yield with_steps(inside, outside, outside)
    yield with_steps(replace(inside, data=other.proof.ops[0].data), outside)
    yield with_steps(replace(inside, type="ics23:simple"), outside)
    yield with_steps(inside, replace(outside, key=b"node"))
    for _ in range(6):
        yield with_steps(replace(inside, data=_damaged(inside.data, rng)), outside)
        yield with_steps(inside, replace(outside, data=_damaged(outside.data, rng)))
    yield with_steps(replace(inside, key=other.key), outside)
    for data in _restructured(inside.data, other.proof.ops[0].data, rng):
        yield with_steps(replace(inside, data=data), outside)
        if root := _root_of(data):  # of a state that whoever forges it made up
            yield replace(case, hash=app_hash(root, b"c"), proof=ProofOps((replace(inside, data=data), prove_entry(STATE, root, b"c"))))
    for data in _restructured(outside.data, inside.data, rng):
        yield with_steps(inside, replace(outside, data=data))
        yield replace(case, hash=_root_of(data) or case.hash, proof=ProofOps((inside, replace(outside, data=data))))
    for key in {other.key, *_neighbours(inside.data), b"\0", b"\xff" * 7}:
        proof = decode(CommitmentProof, inside.data)
        if proof.nonexist is not None:
            data = encode(CommitmentProof(nonexist=replace(proof.nonexist, key=key)))
            yield replace(case, key=key, proof=ProofOps((replace(inside, key=key, data=data), outside)))


def _neighbours(data: bytes) -> list[bytes]:
    proof = decode(CommitmentProof, data).nonexist
    return [] if proof is None else [beside.key for beside in (proof.left, proof.right) if beside is not None]


def _root_of(data: bytes) -> bytes | None:
    """What a proof hashes to, whatever rules it breaks."""
    try:
        proof = decode(CommitmentProof, data)
    except Malformed:
        return None
    shown = proof.exist or (proof.nonexist and (proof.nonexist.left or proof.nonexist.right))
    if not shown or shown.leaf is None:
        return None
    leaf = shown.leaf
    hash = leaf.prefix
    for part, hashed in ((shown.key, leaf.prehash_key), (shown.value, leaf.prehash_value)):
        part = sha256(part).digest() if hashed else part
        hash += (varint(len(part)) if leaf.length else b"") + part
    hash = sha256(hash).digest()
    for step in shown.path:
        hash = sha256(step.prefix + hash + step.suffix).digest()
    return hash


def _flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _damaged(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    how = rng.randrange(6)
    if how == 0:
        return data[:at]
    if how == 1:
        return data + rng.randbytes(rng.randint(1, 3))
    if how == 2:
        return data[:at] + data[at + 1 :]
    if how == 3:
        return data[:at] + rng.randbytes(1) + data[at:]
    if how == 4:  # a number longer than it needs to be
        return data[:at] + bytes([data[at] | 128, 0]) + data[at + 1 :]
    return _flipped(data, rng)


def _restructured(data: bytes, other: bytes, rng: random.Random) -> Iterator[bytes]:
    """Well encoded, and another proof: parts left out, twice, in another order, or of another proof."""
    try:
        proof, strange = decode(CommitmentProof, data), decode(CommitmentProof, other)
    except Malformed:
        return
    yield encode(strange)
    if proof.nonexist is not None:
        left, right = proof.nonexist.left, proof.nonexist.right
        key = proof.nonexist.key
        for beside in (left, right):
            for changed in () if beside is None else _changed(beside, rng):
                yield encode(CommitmentProof(nonexist=NonExistenceProof(key, *((changed, None) if beside is left else (None, changed)))))
        for pair in ((left, None), (None, right), (right, left), (left, left), (None, None)):
            yield encode(CommitmentProof(nonexist=NonExistenceProof(key, *pair)))
        if strange.exist is not None:
            yield encode(CommitmentProof(nonexist=NonExistenceProof(key, left, strange.exist)))
            yield encode(CommitmentProof(nonexist=NonExistenceProof(key, strange.exist, right)))
        for whole in (left, right):
            if whole is not None:
                yield encode(CommitmentProof(whole))
    if proof.exist is not None:
        yield encode(CommitmentProof(proof.exist, strange.nonexist))
        yield encode(CommitmentProof(nonexist=NonExistenceProof(proof.exist.key, proof.exist, strange.exist)))
        for changed in _changed(proof.exist, rng):
            yield encode(CommitmentProof(changed))


def _changed(proof: ExistenceProof, rng: random.Random) -> Iterator[ExistenceProof]:
    path = proof.path
    yield replace(proof, path=path[1:])
    yield replace(proof, path=path[:-1])
    yield replace(proof, path=path + path[-1:])
    yield replace(proof, path=path[::-1])
    yield replace(proof, path=path * 130)
    yield replace(proof, value=b"")
    yield replace(proof, leaf=None)
    if proof.leaf is not None:
        for prefix in _other_numbers(proof.leaf.prefix, rng):
            yield replace(proof, leaf=replace(proof.leaf, prefix=prefix))
    if path:
        at = rng.randrange(len(path))
        step = path[at]
        for prefix in _other_numbers(step.prefix, rng):
            yield replace(proof, path=(*path[:at], InnerOp(step.hash, prefix, step.suffix), *path[at + 1 :]))
        for changed in (
            InnerOp(0, step.prefix, step.suffix), InnerOp(step.hash, step.prefix + step.suffix), InnerOp(step.hash, b"", step.suffix),
            InnerOp(step.hash, step.prefix, step.suffix + b"\0"), InnerOp(step.hash, step.suffix, step.prefix),
        ):
            yield replace(proof, path=(*path[:at], changed, *path[at + 1 :]))


def _other_numbers(prefix: bytes, rng: random.Random) -> Iterator[bytes]:
    """What nodes of IAVL begin with, changed: height, size or version; or any other byte."""
    yield bytes([prefix[0] ^ 1]) + prefix[1:]
    yield prefix + b"\0"
    try:
        numbers, at = [], 0
        for _ in range(3):
            number, at = varint_at(prefix, at)
            numbers.append(number)
    except (Malformed, IndexError):
        return
    for place in range(3):
        for number in (0, 1, 2, numbers[place] + 1, numbers[place] + 2, rng.getrandbits(62) << 1):
            yield b"".join(map(varint, [*numbers[:place], number, *numbers[place + 1 :]])) + prefix[at:]
    yield b"".join(varint(number + 2) for number in numbers) + prefix[at:] + b"\0"
