"""One bit of a live row flipped on the disk: a read raises StateCorrupt or answers truly. It never lies."""

from __future__ import annotations

import random
import shutil
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import effort
import lmdb
import pytest
from ioi_storage import Body, FormatMismatch, StateCorrupt, Store
from ioi_storage.disk.rows import TABLES
from ioi_storage.trees.seam import _trees

FLIPS = effort.amount("IOI_STORAGE_FLIPS", sample=150, many=1000)
KEYS = [b"key%04d" % i for i in range(300)]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"header", transactions=0, failed=0)

Truth = list[dict[bytes, bytes]]
Row = tuple[str, bytes, bytes]  # table, key, value


def body(version: int) -> Body:
    """The last transaction is in all of them."""
    txs = [b"%d one" % version, b"%d two" % version, b"again"]
    return Body(txs, b"123456", struct.pack("<3Q", 1, 3, 6))


@pytest.fixture(scope="module", params=sorted(_trees))
def state(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("flips") / "state"
    rng = random.Random(5)
    model = {key: rng.randbytes(20) for key in KEYS[::2]}
    truth = [dict(model)]
    with Store.create(path, tree=request.param, meta={"vm": "x"}, genesis=model.items()) as store:
        for _ in range(4):
            batch = {key: rng.choice([None, rng.randbytes(20)]) for key in rng.sample(KEYS, 40)}
            store.commit(store.stage(sorted(batch.items())), **{**FIELDS, "transactions": 3, "body": body(store.version + 1)})
            model = {k: v for k, v in {**model, **batch}.items() if v is not None}
            truth.append(dict(model))
            if store.version == 3:
                store._keeper._find_now()
                store.settle()  # version 4 lags: its values are read from another table than those before
    return path, truth


def live_rows(path: Path) -> list[Row]:
    with lmdb.open(str(path), max_dbs=16, readonly=True, map_size=1 << 40, lib_version=0) as env:
        tables = {name: env.open_db(name.encode(), create=False) for name in TABLES}
        with env.begin() as txn:
            return [(name, key, value) for name, db in tables.items() for key, value in txn.cursor(db)]


def flipped(data: bytes, row: Row, place: int, mask: int) -> bytes:
    """The file with byte `place` of a row changed: LMDB stores key and value side by side, and pages it no longer uses
    may still hold the row, so all copies are changed."""
    stored = row[1] + row[2]
    changed = stored[:place] + bytes([stored[place] ^ mask]) + stored[place + 1 :]
    assert data.count(stored) > 0
    return data.replace(stored, changed)


def read_everything(store: Store, truth: Truth, rng: random.Random) -> int:
    """Compares all reads with the truth; returns how many raised StateCorrupt."""
    corrupt = 0

    def compare(read: Any, expected: Any) -> None:
        nonlocal corrupt
        try:
            answer = read()
        except StateCorrupt as error:
            assert "row" in str(error) or "LMDB" in str(error)
            corrupt += 1
        else:
            assert answer == expected

    for key in KEYS:
        compare(lambda key=key: store.get(key), truth[-1].get(key))
        version = rng.randrange(len(truth))
        compare(lambda key=key, version=version: store.get(key, version), truth[version].get(key))
    for version in range(1, len(truth)):
        compare(lambda version=version: store.body(version), body(version))
        compare(lambda version=version: store.entry(version, 1), (b"%d two" % version, b"23"))
        compare(lambda version=version: store.places(sha256(b"%d two" % version).digest()), [(version, 1)])
    compare(lambda: store.places(sha256(b"again").digest()), [(version, 2) for version in range(1, len(truth))])
    for reverse in (False, True):
        pairs = sorted(truth[-1].items(), reverse=reverse)
        compare(lambda reverse=reverse: list(store.scan(reverse=reverse)), pairs)
        inside = [pair for pair in pairs if KEYS[100] <= pair[0] < KEYS[200]]
        compare(lambda reverse=reverse: list(store.scan(KEYS[100], KEYS[200], reverse=reverse)), inside)
    return corrupt


@pytest.mark.parametrize("table", TABLES)
def test_no_read_lies(table: str, state: tuple[Path, Truth], tmp_path: Path) -> None:
    path, truth = state
    data = (path / "data.mdb").read_bytes()
    rows = [row for row in live_rows(path) if row[0] == table]
    damaged = tmp_path / "state"
    noticed = 0
    rng = random.Random(table)
    for number in range(FLIPS // 4 if table in ("nodes", "values", "flat") else 10):
        row = rng.choice(rows)
        size = len(row[1]) + len(row[2])
        place, bit = rng.randrange(size), 1 << rng.randrange(8)
        shutil.rmtree(damaged, ignore_errors=True)
        damaged.mkdir()
        (damaged / "data.mdb").write_bytes(flipped(data, row, place, bit))
        where = f"flip {number}: byte {place} of {size}, bit {bit}, row {row[1].hex()}"
        try:
            with Store.open(damaged) as store:
                noticed += read_everything(store, truth, rng) > 0
        except (StateCorrupt, FormatMismatch):
            noticed += 1
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
    if table != "stale":  # read by pruning alone
        assert noticed > 0


def test_every_byte_of_a_flat_row(state: tuple[Path, Truth], tmp_path: Path) -> None:
    """The key's own bytes too: a lookup that misses because its row is damaged must not answer 'absent'."""
    path, truth = state
    data = (path / "data.mdb").read_bytes()
    flat = [row for row in live_rows(path) if row[0] == "flat"]
    damaged = tmp_path / "state"
    damaged.mkdir()
    for row in (flat[0], flat[len(flat) // 2], flat[-1]):
        for place in range(len(row[1]) + len(row[2])):
            (damaged / "data.mdb").write_bytes(flipped(data, row, place, 0x41))
            with Store.open(damaged) as store, pytest.raises(StateCorrupt, match="flat"):
                store.get(row[1])


def test_a_damaged_row_cannot_be_staged_upon(state: tuple[Path, Truth], tmp_path: Path) -> None:
    path, _ = state
    data = (path / "data.mdb").read_bytes()
    damaged = tmp_path / "state"
    damaged.mkdir()
    rng = random.Random(11)
    nodes = {row[1]: row for row in live_rows(path) if row[0] == "nodes"}
    with Store.open(path) as store:
        root_key = store.latest.head
    row = nodes[root_key]
    for place in rng.sample(range(8, 8 + len(row[2])), 40):
        (damaged / "data.mdb").write_bytes(flipped(data, row, place, 1 << rng.randrange(8)))
        with Store.open(damaged) as store:
            with pytest.raises(StateCorrupt, match="nodes"):
                store.stage([(key, b"x") for key in KEYS])
            assert store.version == 4
