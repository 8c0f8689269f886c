"""The C core, against other implementations of the same formulas."""

from __future__ import annotations

import hashlib
import random
import struct

import pytest
import xxhash
from ioi_storage import _core, receipts_merkle_root
from ioi_storage.trees.jellyfish import PLACEHOLDER


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def rfc6962(leaves: list[bytes]) -> bytes:
    """Section 2.1, word for word."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\1" + rfc6962(leaves[:split]) + rfc6962(leaves[split:]))


def packed(leaves: list[bytes]) -> tuple[bytes, bytes]:
    ends, at = [], 0
    for leaf in leaves:
        at += len(leaf)
        ends.append(at)
    return b"".join(leaves), struct.pack(f"<{len(ends)}Q", *ends)


@pytest.mark.parametrize("count", [*range(0, 20), 63, 64, 65, 127, 128, 129, 130, 257, 1000])
def test_merkle_root(count: int) -> None:
    rng = random.Random(count)
    leaves = [rng.randbytes(rng.choice([0, 1, 8, 54, 55, 56, 63, 64, 200])) for _ in range(count)]
    blob, ends = packed(leaves)
    assert receipts_merkle_root(blob, ends) == rfc6962(leaves)
    assert receipts_merkle_root(memoryview(bytearray(blob)), memoryview(b"x" + ends)[1:]) == rfc6962(leaves)


@pytest.mark.parametrize("seed", range(40))
def test_merkle_root_of_leaves_that_repeat(seed: int) -> None:
    """What is like its neighbour is hashed once: leaves, and pairs on every level, in runs of every length around a batch of 64."""
    rng = random.Random(seed)
    kinds = [b"", b"\0", b"ab", b"ac", b"abab", rng.randbytes(200)][: rng.choice([1, 2, 6])]
    leaves: list[bytes] = []
    while len(leaves) < rng.choice([2, 100, 600]):
        leaves += rng.choices(kinds, k=rng.choice([1, 2])) * rng.choice([1, 1, 2, 31, 63, 64, 65, 126, 128, 130, 257])
    blob, ends = packed(leaves)
    assert receipts_merkle_root(blob, ends) == rfc6962(leaves)


@pytest.mark.parametrize(
    ("blob", "ends"),
    [
        (b"", b"\0"),
        (b"ab", struct.pack("<Q", 1)),
        (b"ab", struct.pack("<Q", 3)),
        (b"ab", struct.pack("<QQ", 2, 1)),
        (b"ab", b""),
        (b"ab", struct.pack("<QQ", 2**64 - 1, 2)),
    ],
)
def test_merkle_root_refuses_ends_that_do_not_fit(blob: bytes, ends: bytes) -> None:
    with pytest.raises(ValueError, match="ends"):
        receipts_merkle_root(blob, ends)


def test_seal_is_xxh3_of_key_and_body_seeded_with_the_key_size() -> None:
    rng = random.Random(7)
    for size in [*range(0, 300), 511, 512, 513, 1023, 1024, 1025, 1087, 1088, 1089, 5000]:
        key, body = rng.randbytes(rng.randrange(1, 60)), rng.randbytes(size)
        row = _core.seal(key, body)
        assert row == body + xxhash.xxh3_64_digest(key + body, len(key)), size
        assert _core.unseal(key, row) == body
        place = rng.randrange(len(row))
        damaged = row[:place] + bytes([row[place] ^ 1 << rng.randrange(8)]) + row[place + 1 :]
        assert _core.unseal(key, damaged) is None
        assert _core.unseal(key + row[:1], row[1:]) is None
    assert _core.unseal(b"k", b"short") is None


def test_unseal_found() -> None:
    keys = [b"a", b"b", b"c", b"c", b"d"]
    pairs = [(key, _core.seal(key, key * 3)) for key in (b"b", b"c", b"c")]
    assert _core.unseal_found(keys, pairs) == ([None, b"bbb", b"ccc", b"ccc", None], None)
    assert _core.unseal_found((), []) == ([], None)
    assert _core.unseal_found(keys, [pairs[0], (b"c", b"damaged row")])[1] == b"c"
    for wrong in ([(b"x", b"")], pairs[::-1], pairs * 2):
        with pytest.raises(ValueError, match="order"):
            _core.unseal_found(keys, wrong)
    with pytest.raises(TypeError):
        _core.unseal_found(keys, [b"ab"])


def test_seal_puts_leaves_deletes_out() -> None:
    assert _core.seal_puts([(b"a", b"1"), (b"b", None), (b"c", b"")]) == [
        (b"a", _core.seal(b"a", b"1")),
        (b"c", _core.seal(b"c", b"")),
    ]


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        ([(b"b", b""), (b"a", b"")], ValueError, r"batch\[1\].*ascend"),
        ([(b"a", b""), (b"a", None)], ValueError, r"batch\[1\].*twice"),
        ([(b"ab", b""), (b"a", b"")], ValueError, r"batch\[1\].*ascend"),
        ([(b"", b"")], ValueError, r"batch\[0\].*1 to 8 bytes"),
        ([(b"123456789", b"")], ValueError, r"batch\[0\].*1 to 8 bytes"),
        ([("a", b"")], TypeError, r"batch\[0\]"),
        ([(b"a", "")], TypeError, r"batch\[0\]"),
        ([(b"a", bytearray())], TypeError, r"batch\[0\]"),
        ([b"ab"], TypeError, r"batch\[0\]"),
        ([(b"a",)], TypeError, r"batch\[0\]"),
    ],
)
def test_hash_batch_names_the_write_that_is_wrong(batch, error, text) -> None:
    with pytest.raises(error, match=text):
        _core.hash_batch(_core.Writes.of(batch), 8, 0, len(batch))
    if len(batch) > 1:  # what is wrong between two parts is found by the second
        _core.hash_batch(_core.Writes.of(batch), 8, 0, 1)
        with pytest.raises(error, match=text):
            _core.hash_batch(_core.Writes.of(batch), 8, 1, 2)


def entry(key_hash: bytes, value: bytes | None, index: int) -> bytes:
    return struct.pack("=32s32sII", key_hash, sha(value) if value is not None else bytes(32), index, value is not None)


def test_hash_batch() -> None:
    batch = [(b"k%03d" % i, None if i % 3 == 0 else b"v" * i) for i in range(100)]
    entries = [entry(sha(k), v, i) for i, (k, v) in enumerate(batch)]
    assert _core.hash_batch(_core.Writes.of(batch), 511, 0, 100) == b"".join(sorted(entries))
    parts = [(0, 0), (0, 1), (1, 1), (1, 40), (40, 99), (99, 100)]
    hashed = [_core.hash_batch(_core.Writes.of(batch), 511, *part) for part in parts]
    assert hashed[3] == b"".join(sorted(entries[1:40]))
    assert _core.merge_entries(hashed) == b"".join(sorted(entries))
    assert _core.merge_entries([]) == _core.merge_entries([b"", b""]) == b""
    with pytest.raises(TypeError, match="Writes"):  # another thread could take writes out of a list
        _core.hash_batch(batch, 511, 0, 100)  # type: ignore[arg-type]
    for begin, end in ((-1, 3), (3, 2), (0, 101)):
        with pytest.raises(ValueError, match="within the batch"):
            _core.hash_batch(_core.Writes.of(batch), 511, begin, end)


@pytest.mark.parametrize("depth", [0, 1, 5, 63])
def test_entries_are_split_by_a_nibble(depth: int) -> None:
    rng = random.Random(depth)
    for count in (0, 1, 2, 17, 300):
        hashes = set()
        for _ in range(count):
            nibbles = "7" * depth + f"{rng.randrange(16):x}" + rng.randbytes(32).hex()
            hashes.add(bytes.fromhex(nibbles[:64]))
        entries = [key + bytes(40) for key in sorted(hashes)]
        groups = _core.split_entries(b"".join(entries), depth)
        assert b"".join(group for _, group in groups) == b"".join(entries)
        assert [nibble for nibble, _ in groups] == sorted({int(entry.hex()[depth], 16) for entry in entries})
        assert all(int(group.hex()[at + depth], 16) == nibble for nibble, group in groups for at in range(0, 2 * len(group), 144))
    for wrong in (b"\0" * 71, 0), (b"\0" * 72, 64):
        with pytest.raises(ValueError):
            _core.split_entries(*wrong)


def test_stale_rows_hold_whole_records_and_fill_half_a_page() -> None:
    rng = random.Random(3)
    for count in (0, 1, 40, 45, 46, 500):
        made = [rng.randbytes(9) + bytes([size]) + rng.randbytes(size) for size in rng.choices([0, 1, 32, 64, 255], k=count)]
        parts = [b"".join(made[at : at + 7]) for at in range(0, count, 7)]
        rows = list(_core.Rows([_core.stale_rows(9, parts)]))
        assert [key for key, _ in rows] == [(9).to_bytes(8, "big") + number.to_bytes(4, "big") for number in range(len(rows))]
        pieces = [_core.unseal(key, row) for key, row in rows]
        assert b"".join(pieces) == b"".join(made)
        assert all(1635 < len(piece) for piece in pieces[:-1]) and all(0 < len(piece) <= 1900 for piece in pieces)
        assert sum(map(len, map(records, pieces))) == count
    for wrong in ([bytes(9)], [bytes(9) + b"\1"], [bytes(10), bytes(11)]):
        with pytest.raises(ValueError):
            _core.stale_rows(9, wrong)
    with pytest.raises(TypeError):
        _core.stale_rows(9, ["no bytes"])


def test_entries_that_begin_alike_are_merged_in_order() -> None:
    rng = random.Random(3)
    hashes = [bytes([0xFF] * 8) + bytes([byte]) * 24 for byte in range(200)]
    hashes += [bytes(8) + bytes([byte]) * 24 for byte in range(200)] + [b"\xff" * 7 + b"\xfe" + bytes(24)]
    rng.shuffle(hashes)
    parts: list[list[bytes]] = [[] for _ in range(16)]
    for number, key_hash in enumerate(hashes):
        parts[rng.randrange(16)].append(entry(key_hash, b"", number))
    whole = b"".join(sorted(entry for part in parts for entry in part))
    assert _core.merge_entries([b"".join(sorted(part)) for part in parts]) == whole
    for wrong in ([b""] * 17, [b"short"], [5]):
        with pytest.raises(ValueError):
            _core.merge_entries(wrong)


def apply(slot: bytes | None, entries: list[bytes], rows: dict[bytes, bytes], version: int):
    """One subtree, rows kept in a dict. (slot, {row key: row}, effects)."""
    subtree = _core.Subtree(1, slot, b"".join(sorted(entries)), version)
    while keys := subtree.wanted():
        assert subtree.feed([rows[key] for key in keys]) is None
    slot, packed, _, effects = subtree.close()
    new_rows = list(_core.Rows([packed]))
    assert new_rows == sorted(new_rows)
    return slot, dict(new_rows), effects


def test_two_keys_that_differ_in_the_last_nibble_alone() -> None:
    first, last = b"\x5a" * 32, b"\x5a" * 31 + b"\x5b"
    slot, rows, effects = apply(None, [entry(first, b"x", 0), entry(last, b"y", 1)], {}, 1)
    assert effects == b"\1\1" and len(slot) == 40
    (row,) = rows.values()  # both stand flat in it, as one group
    expected = sha(b"JMT::IntrnalNode" + leaf(first, b"x") + leaf(last, b"y"))
    for bit in reversed(range(4, 255)):
        pair = (expected, PLACEHOLDER)
        expected = sha(b"JMT::IntrnalNode" + b"".join(pair if not first[bit // 8] >> 7 - bit % 8 & 1 else pair[::-1]))
        if bit == 8:
            group = expected
    assert slot[8:] == expected
    (child,) = (slot for slot in _core.node_slots(row) if slot is not None)
    assert child[:32] == group == _core.leaves_hash(child[32:], 8)
    assert child[40:72] == first and child[112:144] == last and len(child) == 32 + 2 * 72
    slot, after, effects = apply(slot, [entry(last, None, 0)], rows, 2)
    assert effects == b"\3" and after == {} and slot == (1).to_bytes(8, "big") + first + sha(b"x")


def test_many_keys_below_a_long_path() -> None:
    keys = [b"\x5a" * 31 + bytes([i]) for i in range(256)]
    slot, rows, _ = apply(None, [entry(key, b"x", i) for i, key in enumerate(keys)], {}, 1)
    assert sorted({len(key) - 8 for key in rows}) == list(range(1, 64)) and len(rows) == 62 + 16
    deepest = rows[(1).to_bytes(8, "big") + bytes([5, 10] * 31 + [5])]
    assert [len(slot) for slot in _core.node_slots(deepest)] == [72] * 16
    for version, kept in ((2, 28), (3, 27), (4, 1)):
        gone = [entry(key, None, i) for i, key in enumerate(keys[kept:])]
        slot, new, effects = apply(slot, gone, rows, version)
        keys = keys[:kept]
        rows.update(new)
        fresh, _, _ = apply(None, [entry(key, b"x", i) for i, key in enumerate(keys)], {}, 9)
        assert slot[8:] == fresh[8:] and set(effects) == {3}


def leaf(key_hash: bytes, value: bytes) -> bytes:
    return sha(b"JMT::LeafNode" + key_hash + sha(value))


def test_a_row_that_is_not_the_recorded_one_is_refused() -> None:
    entries = [entry(bytes([0x50, i]) + bytes(30), b"x", i) for i in range(3)]
    slot, rows, _ = apply(None, entries, {}, 1)
    other, other_rows, _ = apply(None, [entry(bytes([0x50, i]) + bytes(30), b"y", i) for i in range(3)], {}, 1)
    assert rows.keys() == other_rows.keys() and slot != other
    subtree = _core.Subtree(1, slot, entry(bytes([0x50, 9]) + bytes(30), b"z", 0), 2)
    (key,) = subtree.wanted()
    assert subtree.feed([other_rows[key]]) == (0, "its hash is not the one recorded in its parent")
    with pytest.raises(ValueError, match="closed"):
        subtree.feed([rows[key]])
    assert _core.Subtree(1, slot, entries[0], 2).feed([rows[key][:-1]]) == (0, "its checksum does not match")


def seal_row(body: bytes) -> bytes:
    return body + xxhash.xxh3_64_digest(body)


def test_a_group_that_is_not_the_one_its_row_records_is_refused() -> None:
    """The row's hash covers the group's hash, not its leaves."""
    entries = [entry(bytes([0x50, i]) + bytes(30), b"x", i) for i in range(3)]
    slot, rows, _ = apply(None, entries, {}, 1)
    ((key, row),) = rows.items()
    place = row.index(sha(b"x"))
    other = seal_row(row[:place] + sha(b"y") + row[place + 32 : -8])
    assert _core.node_hash(other) == _core.node_hash(row) == slot[8:]
    subtree = _core.Subtree(1, slot, entries[0], 2)
    assert subtree.feed([other]) == (0, "its hash is not the one recorded in its parent")
    child = next(slot for slot in _core.node_slots(row) if slot is not None)
    swapped = seal_row(row.replace(child[32:], child[104:] + child[32:104])[:-8])
    with pytest.raises(ValueError):
        _core.node_slots(swapped)


def records(stale: bytes) -> list[bytes]:
    """One by one; which one comes first means nothing."""
    found, rest = [], stale
    while rest:
        found.append(rest[: 10 + rest[9]])
        rest = rest[10 + rest[9] :]
    return sorted(found)


@pytest.mark.parametrize("why", ["the crown keeps it", "it gets a row of its own"])
def test_a_group_that_no_write_goes_to_is_checked_where_it_is_used(why: str) -> None:
    keys = [bytes([0x50, i]) + bytes(30) for i in range(3)] + [bytes([0x51 + i, 7]) + bytes(30) for i in range(14)]
    slot, rows, _ = apply(None, [entry(key, b"x", i) for i, key in enumerate(keys)], {}, 1)
    ((key, row),) = rows.items()
    place = row.index(sha(b"x"))
    other = seal_row(row[:place] + sha(b"y") + row[place + 32 : -8])
    assert _core.node_hash(other) == _core.node_hash(row) == slot[8:]
    crown = _core.Crown(100_000) if why == "the crown keeps it" else None
    elsewhere = [bytes([0x5F, i]) + bytes(30) for i in range(1 if crown is not None else 12)]
    subtree = _core.Subtree(1, slot, b"".join(entry(key, b"z", 0) for key in elsewhere), 2, crown)
    assert subtree.feed([other]) == (0, "its hash is not the one recorded in its parent")
    few = _core.Subtree(1, slot, entry(elsewhere[0], b"z", 0), 2)  # here it stays what it was
    assert few.feed([other]) is None


def test_a_crown_is_used_by_one_subtree_at_a_time_and_changes_nothing() -> None:
    rng = random.Random(5)
    keys = [bytes([0x50 | rng.randrange(16)]) + rng.randbytes(31) for _ in range(3000)]
    crown = _core.Crown(200_000)  # too small for all
    slots: dict[bool, bytes | None] = {True: None, False: None}
    rows: dict[bytes, bytes] = {}
    asked = {True: 0, False: 0}
    for version in range(12):
        batch = [entry(key, rng.randbytes(1), 0) for key in sorted(rng.sample(keys, 300))]
        made: dict[bool, tuple[bytes, list[bytes], bytes]] = {}
        for crowned in (True, False):
            subtree = _core.Subtree(1, slots[crowned], b"".join(batch), version, crown if crowned else None)
            assert _core.Subtree(1, slots[crowned], batch[0], version, crown).wanted() is not None  # it goes without
            while wanted := subtree.wanted():
                asked[crowned] += len(wanted)
                assert subtree.feed([rows[key] for key in wanted]) is None
            slots[crowned], packed, stale, effects = subtree.close()
            made[crowned] = packed, records(stale), effects
        assert slots[True] == slots[False] and made[True] == made[False]
        rows.update(_core.Rows([made[True][0]]))
    assert 0 < asked[True] < asked[False] / 2


@pytest.mark.parametrize(
    "arguments",
    [
        (0, None, entry(bytes(32), b"", 0), 1),
        (64, None, entry(bytes(32), b"", 0), 1),
        (1, None, b"", 1),
        (1, None, b"short", 1),
        (1, None, entry(bytes(32), b"", 0) * 2, 1),
        (1, None, entry(bytes(32), b"", 0) + entry(b"\xf0" * 32, b"", 1), 1),
        (1, b"slot", entry(bytes(32), b"", 0), 1),
    ],
)
def test_subtree_refuses_what_it_cannot_work_on(arguments) -> None:
    with pytest.raises(ValueError):
        _core.Subtree(*arguments)


def test_subtree_is_used_in_order() -> None:
    entries = [entry(bytes([0x50, i]) + bytes(30), b"x", i) for i in range(3)]
    subtree = _core.Subtree(1, None, b"".join(entries), 1)
    slot, *_ = subtree.close()
    with pytest.raises(ValueError):
        subtree.close()
    waiting = _core.Subtree(1, slot, entries[0], 2)
    with pytest.raises(ValueError):
        waiting.close()
    with pytest.raises(ValueError):
        waiting.feed([])
    with pytest.raises(TypeError):
        waiting.feed([None])


def test_node_functions_round_trip_and_refuse_rubbish() -> None:
    rng = random.Random(3)
    for _ in range(200):
        slots = [rng.choice([None, rng.randbytes(40), rng.randbytes(72)]) for _ in range(16)]
        leaves = sorted(rng.randbytes(72) for _ in range(rng.randint(2, 9)))
        slots[rng.randrange(16)] = rng.randbytes(32) + b"".join(bytes(8) + leaf[8:] for leaf in sorted(leaves, key=lambda x: x[8:]))
        row = _core.node_row(slots)
        assert _core.node_slots(row) == tuple(slots)
        place = rng.randrange(len(row))
        with pytest.raises(ValueError):
            _core.node_hash(row[:place] + bytes([row[place] ^ 0x10]) + row[place + 1 :])
    assert _core.node_hash(_core.node_row([None] * 16)) == PLACEHOLDER
    for rubbish in (b"", b"\0" * 12, b"x" * 2000):
        with pytest.raises(ValueError):
            _core.node_slots(rubbish)
    with pytest.raises(ValueError):
        _core.node_row([None] * 15)
    for slot in (b"x", bytes(500), bytes(4000)):
        with pytest.raises(ValueError):
            _core.node_row([slot] * 16)
    for leaves, bit in ((bytes(71), 0), (bytes(144), 0), (bytes(72), 256)):
        with pytest.raises(ValueError):
            _core.leaves_hash(leaves, bit)
    apart = bytes(72) + bytes(8) + b"\x40" + bytes(63)
    assert len(_core.leaves_hash(apart, 1)) == 32
    with pytest.raises(ValueError):
        _core.leaves_hash(apart, 2)


def test_packed_rows() -> None:
    packed = [_core.packed_row(b"a", b"1" * n) for n in range(3)]
    rows = _core.Rows([packed[0], memoryview(packed[1]), packed[2]])
    assert len(rows) == 3 and list(rows) == list(rows) == [(b"a", b""), (b"a", b"1"), (b"a", b"11")]
    assert len(_core.Rows([])) == 0 and list(_core.Rows([])) == []
    for bad in ([b""], [b"\1" * 8], [5], 5):
        with pytest.raises((ValueError, TypeError)):
            _core.Rows(bad)
    assert list(_core.Rows([packed[2][:-1]])) == []  # cut short: no row is made up
