"""BlockHeader and Limits: what they accept, and the bytes of a header."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from ioi_exec import (
    BlockHeader,
    Error,
    InputError,
    InputTypeError,
    Limits,
    Misbehaviour,
    StateCorrupt,
    Vote,
)
from ioi_exec.block.header import decode_kept, hash_of

HASH = bytes(range(32))
EVIDENCE = Misbehaviour("duplicate_vote", b"bob", 1, 2, 3, 4)
HEADERS = [
    BlockHeader(height=0),
    BlockHeader(height=1, time_ns=2, proposer=b"p" * 20, block_id=b"id", extra=b"x" * 1000),
    BlockHeader(height=5, votes=[Vote(b"ada", 2**63 - 1), Vote(b"b" * 64, 0, "absent"), Vote(b"c", 1, "nil")]),
    BlockHeader(height=5, extra=b"e", misbehaviour=[EVIDENCE, EVIDENCE._replace(kind="light_client_attack")]),
    BlockHeader(height=2**63 - 1, time_ns=2**63 - 1, proposer=b"p" * 64, block_id=b"i" * 64, extra=b"e" * 65_536),
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_reads_back_from_its_bytes(header: BlockHeader) -> None:
    data = header.encode(HASH)
    assert BlockHeader.decode(data) == header and decode_kept(data) == (header, HASH)


def test_the_bytes_of_a_header_are_fixed() -> None:
    header = BlockHeader(height=258, time_ns=1, proposer=b"pp", block_id=b"i", extra=b"xyz")
    after = "0000000000000102" "0000000000000001" "02" "01" "00000003" "7070" "69" "78797a"
    assert header.encode(HASH).hex() == "02" + after + HASH.hex()
    assert decode_kept(bytes.fromhex("01" + after)) == (header, None)  # as releases without the hash of transactions wrote it


def test_the_bytes_of_votes_and_misbehaviour_are_fixed() -> None:
    header = BlockHeader(height=258, votes=[Vote(b"ab", 5, "nil")], misbehaviour=[EVIDENCE])
    votes = "00000001" "00000001" "02" "03" "0000000000000005" "6162"
    evidence = "03" "01" "0000000000000001" "0000000000000002" "0000000000000003" "0000000000000004" "626f62"
    head = "03" "0000000000000102" "0000000000000000" "00" "00" "00000000"
    assert header.encode(HASH).hex() == head + votes + evidence + HASH.hex()
    assert BlockHeader(height=1, votes=[], misbehaviour=()).encode(HASH)[0] == 2, "without them it is what it was"
    good = header.encode(HASH)
    for damaged in (good.replace(b"\2\3", b"\2\0"), good.replace(b"\2\3", b"\2\4"), good.replace(b"\0\0\0\1" * 2, b"\0\0\0\2" * 2), good[:-33] + HASH):
        with pytest.raises(StateCorrupt):
            BlockHeader.decode(damaged)
    with pytest.raises(StateCorrupt):
        BlockHeader.decode(bytes.fromhex(head) + bytes(8) + HASH)  # none, and packed all the same


def test_damaged_header_bytes_are_refused() -> None:
    good = HEADERS[1].encode(HASH)
    for damaged in (b"", good[:-1], good + b"x", b"\x03" + good[1:], b"\x01" + good[1:], good[:10], b"\x02" + b"\xff" * 8 + good[9:]):
        with pytest.raises(StateCorrupt):
            BlockHeader.decode(damaged)


def test_a_header_without_height_has_no_bytes() -> None:
    with pytest.raises(InputError, match="no height"):
        BlockHeader().encode(HASH)


def test_a_hash_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="31 bytes: 32"):
        HEADERS[0].encode(HASH[1:])


def test_the_hash_of_transactions_tells_lists_apart() -> None:
    lists: list[list[bytes]] = [[], [b""], [b"", b""], [b"ab"], [b"a", b"b"], [b"b", b"a"], [b"ab", b""], [bytes(8)], [bytes(16)]]
    assert len({hash_of(txs) for txs in lists}) == len(lists)
    assert hash_of([]).hex() == "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"  # of eight zero bytes
    assert hash_of([b"ab", b"c"]) == sha256(bytes.fromhex("0200000000000000" "0200000000000000" "0100000000000000") + b"abc").digest()


@pytest.mark.parametrize(
    "fields",
    [
        {"height": -1}, {"height": 2**63}, {"height": True}, {"height": 1.0}, {"height": "1"},
        {"time_ns": -1}, {"time_ns": 2**63}, {"time_ns": None}, {"time_ns": 1.5},
        {"proposer": "ab"}, {"proposer": b"p" * 65}, {"proposer": bytearray(b"p")},
        {"votes": 5}, {"votes": b"ab"}, {"votes": [(b"ada", 1)]}, {"votes": [Vote(b"", 1)]}, {"votes": [Vote(b"v" * 65, 1)]}, {"votes": [Vote("a", 1)]},
        {"votes": [Vote(b"a", -1)]}, {"votes": [Vote(b"a", 1, "yes")]}, {"votes": [Vote(b"a", 1)] * 10_001}, {"misbehaviour": [EVIDENCE] * 1_001},
        {"misbehaviour": [EVIDENCE._replace(kind="theft")]}, {"misbehaviour": [EVIDENCE._replace(height=2**63)]}, {"misbehaviour": [Vote(b"a", 1)]},
        {"block_id": None}, {"block_id": b"i" * 65}, {"extra": "x"}, {"extra": b"x" * 65_537},
    ],
    ids=str,
)
def test_a_wrong_header_says_which_field(fields: dict[str, Any]) -> None:
    (name,) = fields
    with pytest.raises(Error, match=name) as caught:
        BlockHeader(**fields)
    assert isinstance(caught.value, (InputError, InputTypeError)) and caught.value.exit_status == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"key_bytes": 0}, {"key_bytes": -1}, {"value_bytes": 1 << 31}, {"tx_keys": True}, {"tx_bytes": "9"},
        {"stall_seconds": 0}, {"stall_seconds": float("nan")}, {"stall_seconds": float("inf")}, {"stall_seconds": "1"},
        {"stall_seconds": True}, {"arena_bytes": 0}, {"arena_bytes": 1.5}, {"block_bytes": None}, {"checkpoint_depth": 1 << 63},
    ],
    ids=str,
)
def test_wrong_limits_say_which(fields: dict[str, Any]) -> None:
    (name,) = fields
    with pytest.raises(Error, match=name):
        Limits(**fields)


def test_limits_that_decide_receipts_are_remembered() -> None:
    limits = Limits(key_bytes=7, tx_bytes=9)
    again = Limits.remembered(limits.consensus())
    assert again.key_bytes == 7 and again.tx_bytes == Limits().tx_bytes
