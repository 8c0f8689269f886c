"""Verifying proofs: what a light client needs, and nothing else. No store, no imports but the standard library's.

A proof is the part of a tree that a claim is about, in pre-order, after a byte with the format's number:

    00                     an empty half (Jellyfish), an empty tree
    01 hash 32             a subtree that the claim is not about
    02 [meta]              an inner node; its halves follow, smaller places first
    03 [version]           a leaf whose key and value the verifier has: the next one claimed
    04 [version] place     another leaf: key hash 32 (Jellyfish), or size varint and key (IAVL); then value hash 32

Only IAVL has meta (height, size and version of the node) and version: zigzag varints, as they are hashed. Whoever
verifies brings the root, the tree and the claim; a proof says neither which tree it is of nor what it proves. There is
one proof of a claim: all else, be it true, is refused.

    verify_existence(root, "iavl", b"key", b"value", proof)      returns nothing, or raises InvalidProof

Jellyfish (penumbra jmt 0.12) sorts by the SHA-256 of keys, IAVL (cosmos/iavl v1) by keys. That order is a `place` here.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Iterable, List, Mapping, NamedTuple, Optional, Tuple

FORMAT = 1
EMPTY, STUB, INNER, CLAIMED, OTHER = range(5)
PLACEHOLDER = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
EMPTY_IAVL = sha256(b"").digest()

MAX_HEIGHT = 100  # of an IAVL tree: 2**64 keys stay below
_MAX_KEY = 1 << 16
_END = 1 << 256  # of Jellyfish's places, as numbers


class InvalidProof(ValueError):
    """The proof does not prove the claim. Nothing else is ever raised for what a proof holds."""


def verify_existence(root: bytes, tree: str, key: bytes, value: bytes, proof: bytes) -> None:
    """`key` has this value in the state with this root."""
    if value is None:  # or it would prove that there is none
        raise InvalidProof("no value is claimed: verify_absence is for keys that are not there")
    verify_many(root, tree, {key: value}, proof)


def verify_absence(root: bytes, tree: str, key: bytes, proof: bytes) -> None:
    """`key` is not in the state with this root."""
    verify_many(root, tree, {key: None}, proof)


def verify_many(root: bytes, tree: str, claims: Mapping[bytes, Optional[bytes]], proof: bytes) -> None:
    """Every key has its value, and those whose value is None are absent."""
    place = _place_of(tree)
    if not isinstance(claims, Mapping):
        raise TypeError(f"claims are {type(claims).__name__}: give a mapping of keys to values")
    if not claims:
        raise InvalidProof("nothing is claimed")
    for key, value in claims.items():
        octets("a key", key)
        if value is not None:
            octets("a value", value)
    present = sorted((place(key), key, value) for key, value in claims.items() if value is not None)
    absent = sorted(place(key) for key, value in claims.items() if value is None)
    _verify(root, tree, [Claim(*claim) for claim in present], absent, None, proof)


def verify_range(
    root: bytes,
    tree: str,
    start: Optional[bytes],
    end: Optional[bytes],
    pairs: Iterable[Tuple[bytes, bytes]],
    proof: bytes,
) -> None:
    """`pairs` (key, value) are all there are with start <= place < end; None is no bound.

    Of Jellyfish start and end are key hashes (32 bytes), of IAVL they are keys. The order of pairs does not matter."""
    place = _place_of(tree)
    claims = []
    for key, value in pairs:
        if value is None:
            raise InvalidProof("a pair has no value")
        claims.append(Claim(place(octets("a key", key)), key, octets("a value", value)))
    claims.sort(key=lambda claim: claim.place)
    for bound in (start, end):
        if bound is not None:
            octets("a bound", bound)
        if bound is not None and tree == "jellyfish" and len(bound) != 32:
            raise InvalidProof(f"a bound of a range of key hashes has 32 bytes, not {len(bound)}")
    if end is not None and end <= (start or (bytes(32) if tree == "jellyfish" else b"")):
        raise InvalidProof("the range is empty: its start must be below its end")
    for claim in claims:
        if (start is not None and claim.place < start) or (end is not None and claim.place >= end):
            raise InvalidProof(f"key {claim.key.hex()} is outside of the range")
    _verify(root, tree, claims, [], (start, end), proof)


class Claim(NamedTuple):
    """A key that is there."""

    place: bytes
    key: bytes
    value: bytes


class Item(NamedTuple):
    """What stands at the end of a path of the proof. Jellyfish: it covers the places with low <= number < high."""

    kind: int
    place: bytes
    low: int
    high: int


Span = Optional[Tuple[Optional[bytes], Optional[bytes]]]


def _verify(root: bytes, tree: str, claims: List[Claim], absent: List[bytes], span: Span, proof: bytes) -> None:
    if len(octets("the root", root)) != 32:
        raise InvalidProof(f"a root has 32 bytes, not {len(root)}")
    for before, after in zip(claims, claims[1:]):
        if before.place == after.place:
            raise InvalidProof(f"key {after.key.hex()} is claimed twice")
    jellyfish = tree == "jellyfish"
    reader = (_Jellyfish if jellyfish else _Iavl)(octets("the proof", proof), claims)
    if reader.byte() != FORMAT:
        raise InvalidProof("this is no proof, or one of another release")
    computed = reader.top()
    if reader.at != len(reader.proof):
        raise InvalidProof("something follows the proof")
    if reader.claims:
        raise InvalidProof(f"key {reader.claims[-1].key.hex()} is claimed, but not in the proof")
    if computed != root:
        raise InvalidProof(f"the proof is of another state: its root is {computed.hex()}, expected was {root.hex()}")
    (_check_jellyfish if jellyfish else _check_iavl)(reader.items, reader.inners, claims, absent, span)


def octets(name: str, value: object) -> bytes:
    """TypeError for what is no bytes: of a number, bytes() would make so many zeros, which then were what is claimed."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} is {type(value).__name__}: give bytes")
    return bytes(value)


def _place_of(tree: str):  # type: ignore[no-untyped-def]
    if tree == "jellyfish":
        return lambda key: sha256(key).digest()
    if tree == "iavl":
        return lambda key: bytes(key)
    raise ValueError(f"no tree is called {tree!r:.80}: there are 'jellyfish' and 'iavl'")


# ---- reading a proof, and hashing it on the way ----


class _Inner(NamedTuple):
    """An inner node that is not complete yet."""

    meta: bytes  # as it is hashed
    low: int  # Jellyfish: the places of its right half; IAVL: its height and its size
    high: int
    first: int  # of the items below


class _Half(NamedTuple):
    """A subtree that is complete; height and size of IAVL, where it is shown."""

    hash: bytes
    height: Optional[int]
    size: Optional[int]


class _Reader:
    def __init__(self, proof: bytes, claims: List[Claim]) -> None:
        self.proof = proof
        self.at = 0
        self.claims = claims[::-1]  # those not met yet, the next one last
        self.items: List[Item] = []  # ascending
        self.inners: List[Tuple[int, int]] = []  # Jellyfish: (low, high); IAVL: the items below, from, to

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.proof):
            raise InvalidProof("the proof is cut off")
        taken, self.at = self.proof[self.at : end], end
        return taken

    def top(self) -> bytes:
        """The root that the proof leads to. No recursion, so that no proof is too deep for a caller."""
        unfinished: List[Tuple[_Inner, Optional[_Half]]] = []  # inner nodes, each with its left half once that is done
        while True:
            kind = self.byte()
            if kind == INNER:
                unfinished.append((self.inner(), None))
                continue
            half = self.outer(kind, alone=not unfinished)
            while unfinished:
                inner, left = unfinished.pop()
                if left is None:
                    unfinished.append((inner, half))
                    self.right(inner)
                    break
                half = self.join(inner, left, half)
            else:
                return half.hash

    def inner(self) -> _Inner:
        """An inner node begins; what follows is its left half."""
        raise NotImplementedError

    def right(self, inner: _Inner) -> None:
        """What follows is the right half of `inner`."""
        raise NotImplementedError

    def join(self, inner: _Inner, left: _Half, right: _Half) -> _Half:
        raise NotImplementedError

    def outer(self, kind: int, alone: bool) -> _Half:
        """What is no inner node. alone: it is the whole tree."""
        raise NotImplementedError

    def byte(self) -> int:
        return self.take(1)[0]

    def claim(self) -> Claim:
        if not self.claims:
            raise InvalidProof("the proof has a key that is not claimed")
        return self.claims.pop()

    def varint(self) -> Tuple[int, bytes]:
        """(unsigned value, its bytes), of at most 64 bits and no longer than needed."""
        value, begin = 0, self.at
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                if (byte == 0 and shift > 0) or value >= 1 << 64:
                    break
                return value, self.proof[begin : self.at]
        raise InvalidProof("a number is longer than it needs to be, or than 64 bits")

    def positive(self) -> Tuple[int, bytes]:
        """A zigzag varint that is not negative."""
        value, coded = self.varint()
        if value & 1:
            raise InvalidProof("a number is negative")
        return value >> 1, coded


class _Jellyfish(_Reader):
    low, high = 0, _END  # the places that can be in what follows

    def inner(self) -> _Inner:
        if self.high - self.low == 1:
            raise InvalidProof("a path is longer than a key hash")
        self.inners.append((self.low, self.high))
        middle, high = (self.low + self.high) // 2, self.high
        self.high = middle
        return _Inner(b"", middle, high, 0)

    def right(self, inner: _Inner) -> None:
        self.low, self.high = inner.low, inner.high

    def join(self, inner: _Inner, left: _Half, right: _Half) -> _Half:
        return _Half(sha256(b"JMT::IntrnalNode" + left.hash + right.hash).digest(), None, None)

    def outer(self, kind: int, alone: bool) -> _Half:
        if kind == EMPTY:
            self.items.append(Item(EMPTY, b"", self.low, self.high))
            return _Half(PLACEHOLDER, None, None)
        if kind == STUB:
            hash_ = self.take(32)
            if hash_ == PLACEHOLDER:
                raise InvalidProof("an empty half is shown as a subtree")
            self.items.append(Item(STUB, b"", self.low, self.high))
            return _Half(hash_, None, None)
        if kind == CLAIMED:
            claim = self.claim()
            place, value_hash = claim.place, sha256(claim.value).digest()
        elif kind == OTHER:
            place, value_hash = self.take(32), self.take(32)
        else:
            raise InvalidProof(f"there is no kind {kind} of node")
        if not self.low <= int.from_bytes(place, "big") < self.high:
            raise InvalidProof("a leaf is not where its key hash belongs")
        self.items.append(Item(kind, place, self.low, self.high))
        return _Half(sha256(b"JMT::LeafNode" + place + value_hash).digest(), None, None)


class _Iavl(_Reader):
    below = MAX_HEIGHT + 1  # what follows is lower

    def inner(self) -> _Inner:
        (height, coded_height), (size, coded_size), (_, coded_version) = self.positive(), self.positive(), self.positive()
        if not 1 <= height < self.below:
            raise InvalidProof("a node is higher than the one above it, or no higher than a leaf")
        self.below = height
        return _Inner(coded_height + coded_size + coded_version, height, size, len(self.items))

    def right(self, inner: _Inner) -> None:
        self.below = inner.low

    def join(self, inner: _Inner, left: _Half, right: _Half) -> _Half:
        meta, height, size, first = inner
        self.inners.append((first, len(self.items)))
        if left.height is not None and right.height is not None and height != 1 + max(left.height, right.height):
            raise InvalidProof("a node has not the height of its halves and one")
        if left.size is not None and right.size is not None and size != left.size + right.size:
            raise InvalidProof("a node has not the size of its halves")
        return _Half(sha256(meta + b"\x20" + left.hash + b"\x20" + right.hash).digest(), height, size)

    def outer(self, kind: int, alone: bool) -> _Half:
        if kind == EMPTY and alone:
            return _Half(EMPTY_IAVL, None, None)
        if kind == STUB:
            self.items.append(Item(STUB, b"", 0, 0))
            return _Half(self.take(32), None, None)
        if kind not in (CLAIMED, OTHER):
            raise InvalidProof(f"there is no kind {kind} of node here")
        _, version = self.positive()
        if kind == CLAIMED:
            claim = self.claim()
            key, value_hash = claim.place, sha256(claim.value).digest()
        else:
            size, _ = self.varint()
            if size > _MAX_KEY:
                raise InvalidProof("a key is too long")
            key, value_hash = self.take(size), self.take(32)
        self.items.append(Item(kind, key, 0, 0))
        return _Half(sha256(b"\0\2" + version + _varint(len(key)) + key + b"\x20" + value_hash).digest(), 0, 1)


def _varint(value: int) -> bytes:
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    coded.append(value)
    return bytes(coded)


# ---- whether what the proof shows is what the claim needs, and no more ----


def _check_jellyfish(
    items: List[Item], inners: List[Tuple[int, int]], claims: List[Claim], absent: List[bytes], span: Span
) -> None:
    asked = sorted([int.from_bytes(claim.place, "big") for claim in claims] + [int.from_bytes(p, "big") for p in absent])
    missing = {int.from_bytes(place, "big") for place in absent}
    start, end = _END, 0  # no range: overlaps nothing
    if span is not None:
        start = 0 if span[0] is None else int.from_bytes(span[0], "big")
        end = _END if span[1] is None else int.from_bytes(span[1], "big")

    def wanted(low: int, high: int) -> bool:
        at = _first_from(asked, low)
        return (at < len(asked) and asked[at] < high) or (start < high and low < end)

    for low, high in inners:
        if not wanted(low, high):
            raise InvalidProof("the proof shows more than was asked for")
    for item in items:
        number = int.from_bytes(item.place, "big")
        if item.kind == STUB and wanted(item.low, item.high):
            raise InvalidProof("the proof leaves out something that was asked for")
        if item.kind == OTHER and not wanted(item.low, item.high):
            raise InvalidProof("the proof shows more than was asked for")
        if item.kind == OTHER and start <= number < end:
            raise InvalidProof(f"a key of the range was left out: the one with hash {item.place.hex()}")
        if item.kind in (OTHER, CLAIMED) and number in missing:
            raise InvalidProof(f"the key with hash {item.place.hex()} is there")
    # A claimed key is met at its leaf alone; an absent one falls into an empty half or beside a leaf, as checked above.


def _check_iavl(
    items: List[Item], inners: List[Tuple[int, int]], claims: List[Claim], absent: List[bytes], span: Span
) -> None:
    leaves = [item.place for item in items if item.kind != STUB]
    for before, after in zip(leaves, leaves[1:]):
        if before >= after:
            raise InvalidProof("the keys do not ascend")
    where = [at for at, item in enumerate(items) if item.kind != STUB]  # of each leaf among the items
    needed = {claim.place for claim in claims}
    for place in absent:
        at = _first_from(leaves, place)
        if at < len(leaves) and leaves[at] == place:
            raise InvalidProof(f"key {place.hex()} is there")
        needed.update(_gap(items, leaves, where, at, at))
    if span is not None:
        first = 0 if span[0] is None else _first_from(leaves, span[0])
        last = len(leaves) if span[1] is None else _first_from(leaves, span[1])
        for place in leaves[first:last]:
            if place not in needed:
                raise InvalidProof(f"key {place.hex()} of the range was left out")
        needed.update(_gap(items, leaves, where, first, last))
    for item in items:
        if item.kind == OTHER and item.place not in needed:
            raise InvalidProof("the proof shows more than was asked for")
    for first, last in inners:
        if all(item.kind == STUB for item in items[first:last]):
            raise InvalidProof("the proof shows more than was asked for")


def _gap(items: List[Item], leaves: List[bytes], where: List[int], first: int, last: int) -> List[bytes]:
    """The leaves on both sides of leaves[first:last], after seeing that nothing is hidden between them."""
    low = where[first - 1] if first > 0 else -1
    high = where[last] if last < len(leaves) else len(items)
    if high - low - 1 != last - first:
        raise InvalidProof("the proof leaves out something that was asked for")
    return leaves[first - 1 : first] * (first > 0) + leaves[last : last + 1]


def _first_from(ascending: list, value) -> int:  # type: ignore[no-untyped-def, type-arg]
    """The index of the first that is not below `value`."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
