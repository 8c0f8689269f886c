"""Rows that are found by walking from one key to another, or whose absence means something: a damaged key must not make
them look as if they were not there."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from ioi_storage import Store
from ioi_storage.disk import marks
from ioi_storage.disk.rows import decode_value
from ioi_storage.errors import StateCorrupt
from ioi_storage.history import rollback
from ioi_storage.latest import catchup, keeper
from ioi_storage.trees.keys import u64
from test_bit_flips import FIELDS, flipped, live_rows

KEYS = [b"key%03d" % i for i in range(60)]
Row = tuple[str, bytes, bytes]


def build(path: Path) -> None:
    """Versions 0 to 3; 2 and 3 lag."""
    rng = random.Random(2)
    with Store.create(path, meta={}, genesis=[(key, b"genesis") for key in KEYS[::2]]) as store:
        for _ in range(3):
            batch = {key: rng.choice([None, rng.randbytes(9)]) for key in rng.sample(KEYS, 12)}
            store.commit(store.stage(sorted(batch.items())), **FIELDS)
            if store.version == 1:
                store.settle()


def damages(row: Row) -> list[bytes]:
    """The row with each bit of its version flipped, and with some of the rest of its key."""
    stored = row[1] + row[2]
    bits = [(at, 1 << bit) for at in (*range(8), 8, 20, 39) for bit in range(8)]
    return [stored[:at] + bytes([stored[at] ^ mask]) + stored[at + 1 :] for at, mask in bits]


def test_no_write_that_lags_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)
    build(tmp_path / "s")
    with Store.open(tmp_path / "s") as store:
        truth = {key: store.get(key) for key in KEYS}
    data = (tmp_path / "s" / "data.mdb").read_bytes()
    values = [row for row in live_rows(tmp_path / "s") if row[0] == "values"]
    damaged = tmp_path / "d"
    damaged.mkdir()
    noticed = 0
    firsts = [next(row for row in values if row[1][:8] == u64(version)) for version in (2, 3)]
    for row in values[-20:]:  # of the versions that lag
        for stored in damages(row)[:: 1 if row in [*firsts, *values[-3:]] else 9]:
            (damaged / "data.mdb").write_bytes(data.replace(row[1] + row[2], stored))
            try:
                with Store.open(damaged) as store:
                    assert {key: store.get(key) for key in KEYS} == truth, (row[1].hex(), stored[:40].hex())
            except StateCorrupt:
                noticed += 1
    assert noticed > 50


def test_no_write_is_forgotten_by_a_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are walked over from the first version that goes."""
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)
    build(tmp_path / "s")
    with Store.open(tmp_path / "s") as store:
        store.settle()
        truth = {key: store.get(key, 1) for key in KEYS}
    data = (tmp_path / "s" / "data.mdb").read_bytes()
    (first,) = [row for row in live_rows(tmp_path / "s") if row[0] == "values" and row[1][:8] == (2).to_bytes(8, "big")][:1]
    for stored in damages(first):
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "data.mdb").write_bytes(data.replace(first[1] + first[2], stored))
        with pytest.raises(StateCorrupt):
            with Store.open(tmp_path / "d") as store:
                store.rollback(1)
                assert {key: store.get(key) for key in KEYS} == truth, stored[:40].hex()
                store.get(decode_value(first[1], first[2])[0], 3)


def test_an_unfinished_rollback_is_not_overlooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "s")

    def crash(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(rollback, "steps", crash)
    with Store.open(tmp_path / "s") as store, pytest.raises(KeyboardInterrupt):
        store.rollback(1)
    monkeypatch.undo()
    data = (tmp_path / "s" / "data.mdb").read_bytes()
    (row,) = [row for row in live_rows(tmp_path / "s") if row[:2] == ("marks", marks.ROLLBACK)]
    (tmp_path / "d").mkdir()
    for place in range(len(row[1]) + len(row[2])):
        (tmp_path / "d" / "data.mdb").write_bytes(flipped(data, row, place, 1 << place % 8))
        for read_only in (True, False):
            with pytest.raises(StateCorrupt):
                with Store.open(tmp_path / "d", read_only=read_only) as store:
                    store.get(KEYS[0])


def test_a_version_is_read_wholly_at_the_ends_of_the_table(tmp_path: Path) -> None:
    """No row before the first, none after the last; versions that wrote nothing."""
    with Store.create(tmp_path / "s", meta={}, genesis=[]) as store:
        for batch in ([], [(b"a", b"1")], [], [(b"a", None)], []):
            store.commit(store.stage(batch), **FIELDS)
        with store._handle.env.begin() as txn:
            found = [catchup.changes_of(txn, store._handle.tables, version) for version in range(7)]
        assert found == [[], [], [(b"a", b"1")], [], [(b"a", None)], [], []]
