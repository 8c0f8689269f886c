"""A packed write set is a sequence of pairs, and nothing else can be made of bytes that are none."""

from __future__ import annotations

import pickle
import random
import struct

import pytest
from ioi_storage import Writes

Pairs = list[tuple[bytes, "bytes | None"]]


def random_pairs(rng: random.Random, count: int) -> Pairs:
    return [(rng.randbytes(rng.randrange(9)), None if rng.random() < 0.3 else rng.randbytes(rng.randrange(9))) for _ in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_it_is_what_it_was_made_of(count: int) -> None:
    pairs = random_pairs(random.Random(count), count)
    writes = Writes.of(pairs)
    assert list(writes) == pairs and len(writes) == count and writes == pairs and pairs == writes and repr(writes) == repr(pairs)
    assert writes == Writes.of(tuple(pairs)) == Writes.of(iter(pairs)) and Writes.of(writes) is writes
    assert pickle.loads(pickle.dumps(writes)) == writes and Writes(writes.blob, writes.ends) == pairs
    assert writes[:3] == pairs[:3] and writes[::-1] == pairs[::-1] and dict(writes) == dict(pairs)
    for i in range(-count, count):
        assert writes[i] == pairs[i]
    for i in (count, -count - 1):
        with pytest.raises(IndexError):
            writes[i]
    assert not writes != pairs and writes != [*pairs, (b"k", None)] and writes != 7 and writes != Writes.of([*pairs, (b"k", None)])
    with pytest.raises(TypeError):
        hash(writes)
    with pytest.raises(AttributeError):
        writes.blob = b""


def test_absent_is_not_empty() -> None:
    assert Writes.of([(b"k", None)]) != Writes.of([(b"k", b"")]) and Writes.of([(b"k", None)])[0] == (b"k", None)


@pytest.mark.parametrize(
    ("blob", "ends"),
    [
        (b"kv", b"\0" * 8),  # half a write
        (b"kv", struct.pack("=QQ", 1, 1)),  # bytes behind the last
        (b"kv", struct.pack("=QQ", 1, 3)),  # beyond the blob
        (b"kv", struct.pack("=QQ", 2, 1)),  # backwards
        (b"kv", struct.pack("=QQ", 1, 2 | 1 << 63)),  # a delete with a value
        (b"kv", struct.pack("=QQ", 1 | 1 << 63, 2)),  # a key that is deleted is not said so
        (b"", struct.pack("=QQ", 2**64 - 1, 2**64 - 1)),
        (b"kv", b""),
    ],
)
def test_nothing_is_made_of_bytes_that_are_no_writes(blob: bytes, ends: bytes) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Writes(blob, ends)
