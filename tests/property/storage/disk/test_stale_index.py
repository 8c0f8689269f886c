"""The stale index accounts for every row: at any version, the rows written so far are those the version reaches and those
recorded as stale, and no row is both. Pruning may rely on it (jmt itself leaks rows; reference/trees.md section 1)."""

from __future__ import annotations

import random
from typing import Any

import lmdb
import pytest
from ioi_storage import Store, _core
from ioi_storage.disk.rows import TABLES, unseal

KEYS = [b"%d" % i for i in range(400)] + [b"69235", b"95303"]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

Rows = dict[str, dict[bytes, bytes]]


def all_rows(path: str) -> Rows:
    with lmdb.open(path, max_dbs=16, readonly=True, map_size=1 << 40, lib_version=0) as env:
        tables = {name: env.open_db(name.encode(), create=False) for name in TABLES}
        with env.begin() as txn:
            return {name: dict(txn.cursor(db)) for name, db in tables.items()}


def reached(rows: Rows, pointer: bytes) -> tuple[set[bytes], set[bytes]]:
    """Keys of the node rows and value rows that a version's root leads to."""
    nodes: set[bytes] = set()
    values: set[bytes] = set()
    waiting = [pointer] if pointer else []
    while waiting:
        key = waiting.pop()
        assert key not in nodes
        nodes.add(key)
        for nibble, slot in enumerate(_core.node_slots(rows["nodes"][key])):
            if slot is not None and len(slot) == 40:
                waiting.append(slot[:8] + key[8:] + bytes([nibble]))
            elif slot is not None:
                leaves = slot if len(slot) == 72 else slot[32:]
                values.update(leaves[at : at + 40] for at in range(0, len(leaves), 72))
    return nodes, values


def stale_by_version(rows: Rows) -> list[tuple[int, int, bytes]]:
    """(since version, kind, row key) of every record."""
    records = []
    for key, row in rows["stale"].items():
        piece = unseal("stale", key, row)
        assert len(row) <= 2040
        while piece:
            size = piece[9]
            assert len(piece) >= 10 + size
            records.append((int.from_bytes(key[:8], "big"), piece[0], piece[1:9] + piece[10 : 10 + size]))
            piece = piece[10 + size :]
    return records


@pytest.mark.parametrize("seed", range(12))
def test_every_row_is_reached_or_stale(seed: int, tmp_path) -> None:
    rng = random.Random(seed)
    path = str(tmp_path / "state")
    genesis = {key: b"0" for key in KEYS if rng.random() < 0.5}
    with Store.create(path, meta={}, genesis=genesis.items()) as store:
        for _ in range(14):
            touched, deleted = rng.choice([0, 0.01, 0.3, 1]), rng.choice([0, 0.5, 1])
            batch = {
                key: None if rng.random() < deleted else rng.choice([b"0", b"1"])
                for key in KEYS
                if rng.random() < touched
            }
            store.commit(store.stage(sorted(batch.items())), **FIELDS)
        heads = [store.version_row(version).head for version in range(store.version + 1)]
    rows = all_rows(path)
    records = stale_by_version(rows)
    assert len(set(records)) == len(records)
    for version, head in enumerate(heads):
        for kind, (table, live) in enumerate(zip(("nodes", "values"), reached(rows, head))):
            written = {key for key in rows[table] if int.from_bytes(key[:8], "big") <= version}
            stale = {key for since, its_kind, key in records if its_kind == kind and since <= version}
            assert live | stale == written, f"version {version}, table {table}"
            assert not live & stale, f"version {version}, table {table}"
    assert all(len(key) + len(row) <= 2030 for key, row in rows["nodes"].items())  # two such fill a page
