"""Receipts: packing, lazy reading, and the root CometBFT would compute."""

from __future__ import annotations

import copy
import hashlib
import pickle
import random
import struct

import pytest
from ioi_shm import receipt_leaves, receipts_failed

from ioi_exec import Receipt, Receipts


def leaf(receipt: Receipt) -> bytes:
    """ExecTxResult with code, data, gas_wanted, gas_used, by the protobuf encoding guide alone."""

    def field(number: int, wire: int, payload: bytes) -> bytes:
        return bytes([number << 3 | wire]) + payload

    def varint(value: int) -> bytes:
        groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
        return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])

    out = b""
    if receipt.code:
        out += field(1, 0, varint(receipt.code))
    if receipt.output:
        out += field(2, 2, varint(len(receipt.output)) + receipt.output)
    if receipt.gas_wanted:
        out += field(5, 0, varint(receipt.gas_wanted))
    if receipt.gas_used:
        out += field(6, 0, varint(receipt.gas_used))
    return out


def rfc6962(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + rfc6962(leaves[:half]) + rfc6962(leaves[half:])).digest()


def some_receipts(seed: int, count: int) -> list[Receipt]:
    rng = random.Random(seed)
    return [
        Receipt(
            rng.choice([0, 0, 1, 2, 127, 128, 2**32 - 1]),
            rng.randbytes(rng.choice([0, 0, 1, 127, 128, 300, 20_000])),
            rng.choice([0, 1, 2**63 - 1]),
            rng.choice([0, 127, 128, 2**40]),
            rng.choice(["", "why", "für 5 €"]),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 33])
def test_packed_receipts_read_back_and_hash_as_the_specification_says(count: int) -> None:
    receipts = some_receipts(count, count)
    packed = Receipts.of(receipts)
    assert list(packed) == receipts
    assert [packed[i] for i in range(-count, count)] == receipts * 2
    assert packed[1:3] == receipts[1:3] and packed[::-1] == receipts[::-1]
    assert len(packed) == count and packed.failed == sum(not r.ok for r in receipts)
    assert packed.root() == rfc6962([leaf(receipt) for receipt in receipts])
    assert packed == Receipts(packed.blob, packed.ends)


def test_they_can_be_pickled_and_copied() -> None:
    receipts = Receipts.of(some_receipts(3, 20))
    for again in (copy.copy(receipts), copy.deepcopy(receipts), pickle.loads(pickle.dumps(receipts))):
        assert again == receipts and list(again) == list(receipts) and again.root() == receipts.root()


def test_leaves_are_what_cometbft_hashes() -> None:
    receipts = some_receipts(99, 50)
    packed = Receipts.of(receipts)
    blob, ends = receipt_leaves(packed.blob, packed.ends)
    bounds = [0, *memoryview(ends).cast("Q")]
    assert [blob[a:b] for a, b in zip(bounds, bounds[1:])] == [leaf(receipt) for receipt in receipts]


def test_known_leaf() -> None:
    # Written out by hand: code 5, data "ab", gas_wanted 300, gas_used 1.
    packed = Receipts.of([Receipt(5, b"ab", 300, 1, "not hashed")])
    assert receipt_leaves(packed.blob, packed.ends)[0] == bytes.fromhex("0805 12026162 28ac02 3001")


@pytest.mark.parametrize("ends", [[23], [25], [24, 47], [24, 200], [2**64 - 1]])
def test_what_is_not_packed_as_receipts_are_is_refused(ends: list[int]) -> None:
    for look in (receipt_leaves, receipts_failed):
        with pytest.raises(ValueError, match="is not packed as receipts are"):
            look(bytes(48), struct.pack(f"<{len(ends)}Q", *ends))


def test_the_error_text_is_not_hashed_but_compared() -> None:
    one, other = Receipts.of([Receipt(1, error="a")]), Receipts.of([Receipt(1, error="b")])
    assert one.root() == other.root()
    assert one != other


def test_a_long_error_text_is_cut_at_a_character() -> None:
    text = Receipts.of([Receipt(1, error="x" + "€" * 1000)])[0].error
    assert len(text.encode()) <= 1024 and text == "x" + "€" * 341


def test_an_error_text_that_is_no_unicode_is_still_a_receipt() -> None:
    assert Receipts.of([Receipt(1, error="\ud800")])[0].error == "\\ud800"


def test_out_of_range() -> None:
    packed = Receipts.of([Receipt()])
    for index in (1, -2):
        with pytest.raises(IndexError):
            packed[index]
