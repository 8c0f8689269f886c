"""A proof that a receipt is in a block, against the block's receipts root: an audit path of RFC 6962, section 2.1.1."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import ioi_shm
import ioi_storage

from ioi_exec.arguments import octets
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.errors import Diverged, InputTypeError


@dataclass(frozen=True)
class ReceiptProof:
    """index: of the transaction in its block, which has `total`. path: 32 bytes each, from the leaf up."""

    index: int
    total: int
    path: tuple[bytes, ...]


def prove_receipt(receipts: Receipts, index: int) -> ReceiptProof:
    """index: 0 .. len(receipts) - 1."""
    blob, packed_ends = ioi_shm.receipt_leaves(receipts.blob, receipts.ends)
    ends = memoryview(packed_ends).cast("Q")
    path: list[bytes] = []
    for start, end in _siblings(index, len(receipts)):
        first = ends[start - 1] if start else 0
        below = ioi_storage.receipts_merkle_root(blob[first : ends[end - 1]], _packed([e - first for e in ends[start:end]]))
        path.append(below)
    return ReceiptProof(index, len(receipts), tuple(reversed(path)))


def verify_receipt(root: bytes, receipt: Receipt, proof: ReceiptProof) -> None:
    """Returns if `receipt` is that of transaction `proof.index` of the block with this receipts root, else raises Diverged.

    What the root is over: code, output and gas. error and events are not, nor is how many receipts there are."""
    if len(octets("verify_receipt: the root", root)) != 32:
        raise Diverged(f"a receipts root has 32 bytes, this one {len(root)}")
    if not isinstance(receipt, Receipt) or not isinstance(proof, ReceiptProof):
        raise InputTypeError("verify_receipt takes a root, a Receipt and a ReceiptProof")
    if not 0 <= proof.index < proof.total <= 1 << 32:
        raise Diverged(f"there is no receipt {proof.index} of {proof.total}")
    sides = [start > proof.index for start, _ in _siblings(proof.index, proof.total)]
    if len(sides) != len(proof.path) or any(type(sibling) is not bytes or len(sibling) != 32 for sibling in proof.path):
        raise Diverged(f"a proof of receipt {proof.index} of {proof.total} has {len(sides)} hashes of 32 bytes, this one other ones")
    of_one = Receipts.of([receipt])
    node = sha256(b"\0" + ioi_shm.receipt_leaves(of_one.blob, of_one.ends)[0]).digest()
    for sibling, is_right in zip(proof.path, reversed(sides)):
        node = sha256(b"\1" + (node + sibling if is_right else sibling + node)).digest()
    if node != root:
        raise Diverged(f"the proof does not lead from receipt {proof.index} to the receipts root {root.hex()}")


def _siblings(index: int, total: int) -> list[tuple[int, int]]:
    """The subtrees beside the way from the root to a leaf, from the top down: leaves from start to end, which is not among them."""
    start, end, found = 0, total, []
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found


def _packed(ends: list[int]) -> bytes:
    return b"".join(end.to_bytes(8, "little") for end in ends)
