"""The check: nothing to say about any state that was written as it should be; every damage is found and named.

IOI_STORAGE_SEEDS histories, IOI_STORAGE_FLIPS flipped bits; failures name seed and place."""

from __future__ import annotations

import random
import shutil
from array import array
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import effort
import lmdb
import pytest
from examined import examined
from ioi_storage import Finding, Store, check
from ioi_storage.disk import bodies, stale
from ioi_storage.disk.rows import (
    TABLES,
    Creation,
    decode_value,
    decode_version,
    encode_creation,
    encode_version,
    put_row,
    seal,
)
from ioi_storage.disk.stale import records
from ioi_storage.errors import StorageError
from ioi_storage.history import rollback
from ioi_storage.latest import catchup, keeper
from ioi_storage.trees.seam import _trees

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=2, many=20)
FLIPS = effort.amount("IOI_STORAGE_FLIPS", sample=150, many=1000)
TREES = sorted(_trees)
KEYS = [b"k%03d" % i for i in range(120)] + [b"69235", b"95303"]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"header", transactions=0, failed=0)

Tables = dict[str, Any]
Damage = Callable[[Any, Tables], Any]


def some_writes(rng: random.Random) -> dict[bytes, bytes | None]:
    chosen = rng.sample(KEYS, rng.choice([0, 1, 10, len(KEYS)]))
    deletes = rng.choice([0, 0.3, 1])
    return {key: None if rng.random() < deletes else rng.randbytes(rng.choice([0, 2, 2, 30])) for key in chosen}


def commit(store: Store, writes: dict[bytes, bytes | None], rng: random.Random) -> None:
    """Most versions have a body, in parts of some 30 bytes."""
    txs = [rng.randbytes(rng.choice([0, 5, 40])) for _ in range(rng.choice([0, 1, 9]))]
    body = bodies.Body(txs, b"".join(txs), array("Q", accumulate(map(len, txs))).tobytes())
    fields = {**FIELDS, "transactions": len(txs), "body": body} if rng.random() < 0.8 else FIELDS
    store.commit(store.stage(sorted(writes.items())), **fields)


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "PART", 30)
        yield


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_a_whole_state(seed: int, tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(keeper, "FIND_TRANSACTIONS", 10)
    for module in (catchup, stale, rollback, bodies):
        monkeypatch.setattr(module, "STEP", rng.choice([3, 10, 1000]))
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)
    path = tmp_path / "state"
    genesis = {key: b"0" for key in KEYS if rng.random() < rng.choice([0, 0.5, 1])}

    class Stop(Exception):
        pass

    def stop_somewhere(rows: int) -> None:
        if rng.random() < 0.2:
            raise Stop

    with Store.create(path, tree=tree, meta={}, genesis=genesis.items()) as store:
        for _ in range(14):
            turn = rng.random()
            if turn < 0.7:
                commit(store, some_writes(rng), rng)
            elif turn < 0.8:
                try:
                    store.prune(rng.randint(1, 6), stop_somewhere)
                except Stop:
                    pass  # what waits to be pruned is no damage
            elif turn < 0.9:
                store.rollback(rng.randint(store.oldest, store.version))
            else:
                store.settle()
            if rng.random() < 0.3:
                check_clean(store, path)
    assert examined(path) == [] and examined(path, deep=False) == []
    checked = check(path, deep=True)
    with Store.open(path) as store:
        assert checked.findings == [] and checked.summary["findings"] == 0
        assert checked.summary["root"] == store.root.hex() and checked.summary["keys"] == store.latest.keys


def check_clean(store: Store, path: Path) -> None:
    """Beside the live engine."""
    for deep in (False, True):
        checked = check(path, deep=deep)
        assert checked.findings == []
        assert checked.summary["version"] == store.version


@pytest.fixture(scope="module", params=TREES)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 2 to 6 of 0 to 6; 6 lags."""
    path = tmp_path_factory.mktemp("check") / "state"
    rng = random.Random(3)
    with Store.create(path, tree=request.param, meta={"vm": "x"}, genesis=[(key, b"genesis") for key in KEYS[::2]]) as store:
        for _ in range(6):
            batch = {key: rng.choice([None, rng.randbytes(20)]) for key in rng.sample(KEYS, 30)}
            commit(store, batch, rng)
            if store.version == 5:
                store.prune(4)
        store._keeper._find_now()  # a body that is gone before, all of it, looks like one that was not kept
    assert examined(path) == []
    return path


def all_rows(path: Path) -> list[tuple[str, bytes, bytes]]:
    with lmdb.open(str(path), max_dbs=16, readonly=True, map_size=1 << 40, lib_version=0) as env:
        tables = {name: env.open_db(name.encode(), create=False) for name in TABLES}
        with env.begin() as txn:
            return [(name, key, value) for name, db in tables.items() for key, value in txn.cursor(db)]


def damaged(path: Path, to: Path, damage: Damage) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(path, to)
    with lmdb.open(str(to), max_dbs=16, map_size=1 << 30, lib_version=0) as env:
        tables = {name: env.open_db(name.encode(), create=False) for name in TABLES}
        with env.begin(write=True) as txn:
            damage(txn, tables)
    return to


def lagging(rows: list[tuple[str, bytes, bytes]]) -> set[bytes]:
    """The keys of the newest version, whose flat rows may be anything that is sealed."""
    return {decode_value(key, row)[0] for table, key, row in rows if table == "values" and key[:8] == (6).to_bytes(8, "big")}


def named(findings: list[Finding], table: str, row: bytes) -> bool:
    return any(finding.table == table and finding.row == row for finding in findings)


def test_every_row_removed(state: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = all_rows(state)
    for table in TABLES:
        ours = [row for row in rows if row[0] == table and not (table == "flat" and row[1] in lagging(rows))]
        for name, key, _ in rng.sample(ours, min(len(ours), 12)):
            path = damaged(state, tmp_path / "s", lambda txn, tables: txn.delete(key, db=tables[name]))
            findings = examined(path)
            assert findings, f"row {key.hex()} of {table} removed"
            if table not in ("versions", "stale", "creation"):
                assert named(findings, table, key), (table, key.hex(), findings)


def test_every_row_overwritten_by_another(state: Path, tmp_path: Path) -> None:
    """Whole rows, seals and all, under keys that are not theirs."""
    rng = random.Random(2)
    rows = all_rows(state)
    for table in ("versions", "nodes", "values", "stale", "flat", "marks", "bodies", "found"):
        ours = [row for row in rows if row[0] == table]
        for _ in range(min(len(ours), 10)):
            (_, one, body), (_, two, other) = rng.sample(ours, 2)
            if body == other:
                continue
            path = damaged(state, tmp_path / "s", lambda txn, tables: txn.put(one, other, db=tables[table]))
            assert named(examined(path), table, one), (table, one.hex(), two.hex())


def test_every_row_there_twice(state: Path, tmp_path: Path) -> None:
    """A good row once more, under a key that nobody has: it is an orphan, or out of place."""
    rng = random.Random(4)
    rows = all_rows(state)
    for table in TABLES:
        ours = [row for row in rows if row[0] == table]
        for _, key, body in rng.sample(ours, min(len(ours), 10)):
            for other in (key[:-1] + bytes([key[-1] ^ 1]), key + b"\0"):
                if any(row[1] == other for row in ours):
                    continue
                path = damaged(state, tmp_path / "s", lambda txn, tables: txn.put(other, body, db=tables[table]))
                findings = examined(path)
                assert findings, f"row {key.hex()} of {table} again as {other.hex()}"
                assert table not in ("nodes", "values") or named(findings, table, other)
                if table == "flat" and other not in lagging(rows):  # with a seal of its own
                    sealed = seal(other, body[:-8])
                    path = damaged(state, tmp_path / "s", lambda txn, tables: txn.put(other, sealed, db=tables[table]))
                    assert named(examined(path), "flat", other)


def test_a_value_that_was_never_written(state: Path, tmp_path: Path) -> None:
    """Sealed rightly, in both tables that have it: only the tree knows better."""
    rng = random.Random(5)
    rows = all_rows(state)
    for table, key, body in rng.sample([row for row in rows if row[0] in ("flat", "values")], 40):
        sealed = seal(key, body[:-8] + b"!")
        findings = examined(damaged(state, tmp_path / "s", lambda txn, tables: txn.put(key, sealed, db=tables[table])))
        if key not in lagging(rows) and not (table == "values" and is_delete(body)):
            assert findings, (table, key.hex())


def is_delete(row: bytes) -> bool:
    return row[:1] == b"\0"


def test_the_stale_index_is_exact(state: Path, tmp_path: Path) -> None:
    """Every record left out, and every one added."""
    rows = all_rows(state)
    stale = [row for row in rows if row[0] == "stale"]
    needed = next(key for name, key, _ in reversed(rows) if name == "nodes")
    for _, key, body in stale:
        pieces, at, content = [], 0, body[:-8]
        while at < len(content):
            end = at + 10 + content[at + 9]
            pieces.append(content[at:end])
            at = end
        assert len(pieces) == len(list(records(key, body)))
        rng = random.Random(key)
        gone = rng.randrange(len(pieces))
        (table, row), *_ = list(records(key, body))[gone:]
        without = seal(key, b"".join(pieces[:gone] + pieces[gone + 1 :]))
        findings = examined(damaged(state, tmp_path / "s", lambda txn, tables: txn.put(key, without, db=tables["stale"])))
        assert named(findings, table, row)
        size = len(needed) - 8
        record = b"\0" + needed[:8] + bytes([size]) + needed[8:]
        more = seal(key, content + record)
        findings = examined(damaged(state, tmp_path / "s", lambda txn, tables: txn.put(key, more, db=tables["stale"])))
        assert named(findings, "stale", key)
        twice = seal(key, content + pieces[gone])
        findings = examined(damaged(state, tmp_path / "s", lambda txn, tables: txn.put(key, twice, db=tables["stale"])))
        assert named(findings, "stale", key)


def put(state: Path, to: Path, table: str, key: bytes, row: bytes) -> list[Finding]:
    """What is found once this row is there."""
    return examined(damaged(state, to, lambda txn, tables: txn.put(key, row, db=tables[table])))


def test_values_of_no_tree(state: Path, tmp_path: Path) -> None:
    """Sealed rightly, in a version that did not write them."""
    for version in (2, 5):
        key, row = put_row(version, sha256(b"new").digest(), b"new", b"value")
        assert named(put(state, tmp_path / "s", "values", key, row), "values", key)
    deletes = [row for row in all_rows(state) if row[0] == "values" and is_delete(row[2]) and row[1][:8] > (2).to_bytes(8, "big")]
    for _, key, body in deletes[:5]:
        other = seal(key, body[:1] + (3).to_bytes(2, "big") + b"new")
        assert named(put(state, tmp_path / "s", "values", key, other), "values", key)


def test_values_of_no_kind_or_size(state: Path, tmp_path: Path) -> None:
    """Sealed rightly, and still no row that could have been written."""
    rows = [row for row in all_rows(state) if row[0] == "values"]
    for ours in ([row for row in rows if is_delete(row[2])], [row for row in rows if not is_delete(row[2])]):
        _, key, body = ours[-1]
        content = body[:-8]
        size = int.from_bytes(content[1:3], "big")
        wrong = [b"\2" + content[1:], b"\xff" + content[1:], content[:2], content[:1] + b"\xff\xff" + content[3:]]
        if is_delete(body):
            wrong += [content + b"x", content[:-1], content[:1] + (size + 1).to_bytes(2, "big") + content[3:]]
        for other in wrong:
            assert named(put(state, tmp_path / "s", "values", key, seal(key, other)), "values", key), other


def test_records_of_versions_that_are_not_true(state: Path, tmp_path: Path) -> None:
    for version in (2, 4, 6):
        key = version.to_bytes(8, "big")
        (body,) = [row for table, its_key, row in all_rows(state) if table == "versions" and its_key == key]
        row = decode_version(key, body)
        for wrong in (row._replace(keys=row.keys + 1), row._replace(keys=row.keys - 1), row._replace(root=bytes(32))):
            findings = put(state, tmp_path / "s", "versions", *encode_version(wrong))
            assert findings, version
            assert bool(examined(tmp_path / "s", deep=False)) == (version == 6)
            if wrong.root == row.root:
                neighbour = (version + 1).to_bytes(8, "big")  # the oldest is only told by the one after it
                assert named(findings, "versions", key) or named(findings, "versions", neighbour)


def test_a_record_of_what_is_needed_that_would_be_pruned(state: Path, tmp_path: Path) -> None:
    """Rows of the newest version, and of one that only an older one needs, recorded as stale since long ago."""
    rows = all_rows(state)
    tree = "nodes", "values"
    stale_later = [row_key for table, key, row in rows if table == "stale" for _, row_key in records(key, row)]
    for table in tree:
        kind = bytes([tree.index(table)])
        needed = [key for name, key, row in rows if name == table and key not in stale_later]
        replaced = [key for name, key, row in rows if name == table and key in stale_later and not is_delete(row)]
        old = [key for key in replaced if key[:8] <= (2).to_bytes(8, "big")]
        for row_key in (needed[0], needed[-1], old[0], old[-1]):
            record = kind + row_key[:8] + bytes([len(row_key) - 8]) + row_key[8:]
            key = (1).to_bytes(8, "big") + bytes(4)
            assert named(put(state, tmp_path / "s", "stale", key, seal(key, record)), table, row_key)


def test_another_genesis(tmp_path: Path) -> None:
    Store.create(tmp_path / "s", meta={}, genesis=[(b"a", b"1")]).close()
    key, row = encode_creation(Creation("jellyfish", bytes(32), {}))
    assert named(put(tmp_path / "s", tmp_path / "t", "creation", key, row), "versions", bytes(8))


@pytest.mark.parametrize(
    "name,value", [(b"flat", 3), (b"flat", 6), (b"flat", 7), (b"oldest", 1), (b"oldest", 3), (b"oldest", 9), (b"other", 1)]
)
def test_marks_that_are_not_true(state: Path, tmp_path: Path, name: bytes, value: int) -> None:
    row = seal(name, value.to_bytes(8, "big"))
    findings = examined(damaged(state, tmp_path / "s", lambda txn, tables: txn.put(name, row, db=tables["marks"])))
    # A lower mark `flat` reads again what is flat already; a higher `oldest` has more waiting to be pruned. Both are right.
    assert bool(findings) == ((name, value) not in [(b"flat", 3), (b"oldest", 3)])


def test_flipped_bits(state: Path, tmp_path: Path) -> None:
    """Of live rows of every table, in the file, through the process that checks or in this one."""
    data = (state / "data.mdb").read_bytes()
    rows = all_rows(state)
    rng = random.Random(6)
    path = tmp_path / "s"
    path.mkdir()
    for number in range(FLIPS):
        table = TABLES[number % len(TABLES)]
        _, key, body = rng.choice([row for row in rows if row[0] == table])
        place, mask = rng.randrange(len(key) + len(body)), 1 << rng.randrange(8)
        stored = key + body
        changed = stored[:place] + bytes([stored[place] ^ mask]) + stored[place + 1 :]
        assert stored in data
        (path / "data.mdb").write_bytes(data.replace(stored, changed))
        where = f"flip {number}: bit {mask} of byte {place} of {len(stored)}, row {key.hex()} of {table}"
        try:
            findings = check(path, deep=True).findings if number % 30 == 0 else examined(path)
        except StorageError as error:
            findings = [Finding(None, None, str(error))]
            assert table == "creation", where
        assert findings, where


def used_part(state: Path) -> bytes:
    """The data file as far as LMDB has written it: what is beyond is reserve."""
    with lmdb.open(str(state), readonly=True, lock=False, max_dbs=16) as env:
        pages = env.info()["last_pgno"] + 1
        return (state / "data.mdb").read_bytes()[: pages * env.stat()["psize"]]


def test_a_truncated_file(state: Path, tmp_path: Path) -> None:
    data = used_part(state)
    path = tmp_path / "s"
    path.mkdir()
    for size in (0, 100, 4096, 3 * 4096, len(data) // 2):
        (path / "data.mdb").write_bytes(data[:size])
        assert check(path).findings, size


def test_damage_that_crashes_the_reader(state: Path, tmp_path: Path) -> None:
    """Pages of noise: whatever LMDB makes of them, the process that asked for the check lives and knows."""
    data = used_part(state)
    path = tmp_path / "s"
    path.mkdir()
    rng = random.Random(7)
    crashes = 0
    for _ in range(12):
        page = rng.randrange(2, len(data) // 4096)
        noisy = bytearray(data)
        for _ in range(6):
            page = rng.randrange(2, len(data) // 4096)
            noisy[page * 4096 : page * 4096 + 4096] = rng.randbytes(4096)
        (path / "data.mdb").write_bytes(noisy)
        findings = check(path, deep=True).findings
        assert findings
        crashes += any("crashed" in finding.reason for finding in findings)
    print(f"{crashes} crashes")
