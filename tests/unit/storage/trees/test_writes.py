"""A packed write set is a sequence of pairs, and nothing else can be made of bytes that are none."""

from __future__ import annotations

import itertools
import pickle
import random
import struct
import tracemalloc
from collections.abc import Sequence

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


def test_it_is_a_sequence() -> None:
    pairs: Pairs = [(b"a", b"1"), (b"b", None), (b"a", b"1"), (b"c", b"")]
    writes = Writes.of(pairs)
    assert isinstance(writes, Sequence) and list(reversed(writes)) == pairs[::-1] and (b"b", None) in writes and (b"b", b"") not in writes
    assert writes.count((b"a", b"1")) == 2 and writes.index((b"a", b"1")) == 0 and writes.index((b"a", b"1"), 1) == 2
    with pytest.raises(ValueError):
        writes.index((b"a", b"1"), 1, 2)
    match writes:
        case [first, *_]:
            assert first == pairs[0]
        case _:
            pytest.fail("no sequence")
    bounds = (None, -9, -5, -2, -1, 0, 1, 3, 4, 9)
    for start, stop, step in itertools.product(bounds, bounds, (None, -9, -2, -1, 1, 2, 9)):
        assert writes[start:stop:step] == pairs[start:stop:step]
    with pytest.raises(ValueError):
        writes[::0]


def test_a_slice_makes_the_pairs_that_are_in_it_alone() -> None:
    writes = Writes.of([(b"k" * 1000, b"v" * 1000)] * 2000)
    tracemalloc.start()
    try:
        assert len(writes[5:7]) == 2
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


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


@pytest.mark.parametrize("seed", range(200))
def test_over_is_both_with_the_upper_ones_before_the_lower(seed: int) -> None:
    rng = random.Random(seed)
    top, under = ({rng.randbytes(rng.choice((1, 1, 2))): rng.choice((None, b"", b"v", b"longer")) for _ in range(rng.choice((0, 1, 9, 200)))} for _ in "ab")
    over = Writes.of(sorted(top.items())).over(Writes.of(sorted(under.items())))
    assert over == sorted({**under, **top}.items())
    assert Writes(over.blob, over.ends) == over


def test_over_takes_what_is_packed() -> None:
    with pytest.raises(TypeError, match="over takes Writes, not list"):
        Writes.of([]).over([])  # type: ignore[arg-type]
