"""Proofs of both trees, in the own format and in ICS23's: against a state that is known, and against any root they lead to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256

from decoder import Decoder
from ioi_storage import RangeProof, Unprovable, verify, verify_ics23
from ioi_storage.verify import InvalidProof
from states import TREES, known

KEYS = [b"key/0", b"key/1", b"key/5", b"key/7", b"new/0", b"a", b"key/99", b"z"]
"""The first five are there."""
HEAD = 4
_OTHER_ROOT = re.compile("its root is ([0-9a-f]{64}),")
_SINGLE, _MANY, _RANGE = range(3)

Check = Callable[[bytes, bytes], None]  # (root, proof)


def _accepts(check: Check, root: bytes, proof: bytes) -> str:
    """Why not; "" if it does."""
    try:
        check(root, proof)
        return ""
    except InvalidProof as error:
        return str(error)


def _judge(check: Check, lie: Check, root: bytes, proof: bytes, true: Callable[[], bytes | None]) -> None:
    """Accepted for the known root it must be the one proof there is (true() makes it, None if the claim is not so). Accepted for
    the root it leads to, it must not prove the contrary as well."""
    why = _accepts(check, root, proof)
    if not why:
        assert proof == true(), "another proof than the one there is was accepted"
        assert _accepts(lie, root, proof), "it proves the contrary too"
    elif led := _OTHER_ROOT.search(why):
        other = bytes.fromhex(led[1])
        if not _accepts(check, other, proof):
            assert _accepts(lie, other, proof), "of the root that it leads to it proves the contrary too"


@lru_cache(maxsize=None)
def _proof(tree: str, keys: tuple[bytes, ...]) -> bytes:
    return known(tree)[0].prove(keys)


@lru_cache(maxsize=None)
def _range(tree: str, start: bytes | None, end: bytes | None) -> RangeProof | None:
    try:
        return known(tree)[0].prove_range(start, end)
    except ValueError:  # it is empty
        return None


def check_proof(data: bytes) -> None:
    """Head: tree and kind | which keys | bounds, or which claims are lies | of a range, where it begins and ends."""
    if len(data) < HEAD:
        return
    head, proof = data[:HEAD], data[HEAD:]
    tree, kind = TREES[head[0] & 1], (head[0] >> 1) % 3
    made, state = known(tree)
    if kind == _RANGE:
        places = sorted(KEYS if tree == "iavl" else (sha256(key).digest() for key in KEYS))
        start, end = ([None, *places][at % (len(places) + 1)] for at in head[1:3])
        whole = _range(tree, start, end)
        inside = whole.pairs if whole else []
        pairs = [pair for at, pair in enumerate(inside) if not head[3] >> at % 8 & 1 or at > 7]

        def true_range() -> bytes | None:
            return whole.proof if whole and pairs == inside else None

        _judge(
            lambda root, proof: verify.verify_range(root, tree, start, end, pairs, proof),
            lambda root, proof: verify.verify_range(root, tree, start, end, [*pairs[1:]] or [(b"b", b"")], proof),
            made.root, proof, true_range,
        )
        return
    keys = [key for at, key in enumerate(KEYS) if head[1] >> at & 1][: 1 if kind == _SINGLE else None]
    if not keys:
        return
    claims = {key: None if head[2] >> at & 1 else state.get(key, b"x") for at, key in enumerate(KEYS) if key in keys}
    contrary = dict(claims) | {keys[0]: b"lie" if claims[keys[0]] is None else None}
    is_true = all(state.get(key) == value for key, value in claims.items())

    def single(claim: dict[bytes, bytes | None]) -> Check:
        ((key, value),) = claim.items()
        if value is None:
            return lambda root, proof: verify.verify_absence(root, tree, key, proof)
        return lambda root, proof: verify.verify_existence(root, tree, key, value, proof)

    def many(claims: dict[bytes, bytes | None]) -> Check:
        return lambda root, proof: verify.verify_many(root, tree, claims, proof)

    made_check = single if kind == _SINGLE else many
    _judge(made_check(claims), made_check(contrary), made.root, proof, lambda: _proof(tree, tuple(keys)) if is_true else None)


def proofs() -> Iterator[bytes]:
    absent = sum(1 << at for at in range(5, len(KEYS)))
    for number, tree in enumerate(TREES):
        made, _ = known(tree)
        for at, key in enumerate(KEYS):
            yield bytes([number | _SINGLE << 1, 1 << at, absent, 0]) + made.prove([key])
        for mask in (0x21, 0xFF, 0x1F, 0xE0):
            yield bytes([number | _MANY << 1, mask, absent, 0]) + made.prove([k for at, k in enumerate(KEYS) if mask >> at & 1])
        places = [None, *sorted(KEYS if tree == "iavl" else (sha256(key).digest() for key in KEYS))]
        for start, end in ((0, 0), (0, 3), (2, 6), (6, 7), (4, 0)):
            yield bytes([number | _RANGE << 1, start, end, 0]) + made.prove_range(places[start], places[end]).proof


def check_ics23(data: bytes) -> None:
    """Head: tree | which key | whether absence is claimed."""
    if len(data) < 3:
        return
    tree, key, proof = TREES[data[0] & 1], KEYS[data[1] % len(KEYS)], data[3:]
    made, state = known(tree)
    value = state.get(key) or b"x"

    def existence(root: bytes, proof: bytes) -> None:
        verify_ics23.verify_existence(root, tree, key, value, proof)

    def absence(root: bytes, proof: bytes) -> None:
        verify_ics23.verify_absence(root, tree, key, proof)

    def true() -> bytes | None:
        return made.prove_ics23(key) if (key in state) != bool(data[2] & 1) else None

    _judge(*((absence, existence) if data[2] & 1 else (existence, absence)), made.root, proof, true)


def ics23_proofs() -> Iterator[bytes]:
    for number, tree in enumerate(TREES):
        made, state = known(tree)
        for at, key in enumerate(KEYS):
            try:
                yield bytes([number, at, key not in state]) + made.prove_ics23(key)
            except Unprovable:
                continue


_HOLDS = "InvalidProof, or it is the one proof there is of a true claim; of no root does it prove a claim and the contrary"
PROOF = Decoder("proof", _HOLDS, check_proof, proofs)
ICS23 = Decoder("ics23", _HOLDS, check_ics23, ics23_proofs)
