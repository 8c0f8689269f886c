"""Bodies of versions: kept as they were given, found by hash, pruned and rolled back with their version."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from examined import examined
from ioi_storage import Body, StateCorrupt, Store, VersionMissing
from ioi_storage.disk import bodies
from ioi_storage.disk.rows import LATER_TABLES, seal
from ioi_storage.latest import keeper
from ioi_storage.moving import genesis

Commit = Callable[..., int]


def made(txs: list[bytes], outcomes: list[bytes] | None = None) -> Body:
    outcomes = txs if outcomes is None else outcomes
    return Body(txs, b"".join(outcomes), array("Q", accumulate(map(len, outcomes))).tobytes())


def new(path: Path | None) -> Store:
    return Store.create(path, meta={}, genesis=[(b"k", b"v")])


@pytest.fixture(params=[None, "state"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param is None else tmp_path / request.param


def test_rows_read_back_whatever_the_sizes() -> None:
    rng = random.Random(1)
    for _ in range(60):
        count = rng.choice([0, 1, 2, 50])
        sizes = rng.choice([[0], [0, 1, 30], [10, bodies.PART, 2 * bodies.PART]])
        txs, outcomes = ([rng.randbytes(rng.choice(sizes)) for _ in range(count)] for _ in range(2))
        rows = bodies.rows_of(7, made(txs, outcomes))
        parts = [bodies.decode(*row) for row in rows]
        assert [tx for part in parts for tx in part.txs] == txs and [o for part in parts for o in part.outcomes] == outcomes
        assert [part.first for part in parts] == [0, *accumulate(len(part.txs) for part in parts)][:-1]
        assert all(len(row) < bodies.PART + max(sizes) * 2 + 1000 or len(part.txs) == 1 for (_, row), part in zip(rows, parts))


def test_ends_that_do_not_fit_are_refused(commit: Commit) -> None:
    with new(None) as store:
        for body in (made([b"a"], []), made([], [b"a"]), Body([b"a"], b"aa", array("Q", [1]).tobytes())):
            with pytest.raises(ValueError, match="do not fit"):
                commit(store, {}, body=body)
        assert store.version == 0


@pytest.mark.parametrize("body", [b"", b"\0\0\0\2", b"\xff\xff\xff\xff", b"\0\0\0\1" + bytes(8) + b"x", b"\0\0\0\1\0\0\0\2\xff\xff\xff\xffx"])
def test_a_row_that_cannot_be_is_corrupt(body: bytes) -> None:
    key = bodies.key_of(3, 0)
    with pytest.raises(StateCorrupt, match="bodies"):
        bodies.decode(key, seal(key, body))


def test_kept_found_pruned_and_rolled_back(path: Path | None, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PART", 20)
    blocks = {version: [b"%d-%d" % (version, i) for i in range(9)] + [b"always"] for version in (1, 2, 4, 5)}
    with new(path) as store:

        def check(versions: list[int]) -> None:
            always = sha256(b"always").digest()
            assert store.places(always) == [(version, 9) for version in versions]
            for version in versions:
                assert store.body(version) == made(blocks[version])
                assert store.entry(version, 3) == (blocks[version][3], blocks[version][3])
                assert store.places(sha256(blocks[version][8]).digest()) == [(version, 8)]
            for version in blocks.keys() - set(versions):
                assert store.places(sha256(b"%d-0" % version).digest()) == []

        for version in range(1, 6):
            txs = blocks.get(version, [])
            body = {"body": made(txs)} if txs else {}
            commit(store, {b"k": b"%d" % version}, transactions=len(txs), **body)
            if version == 2:
                store._keeper._find_now()  # what later ones have is looked for one by one
        assert store.body(3) is None and store.entry(3, 0) is None and store.entry(5, 10) is None and store.body(0) is None
        check([1, 2, 4, 5])
        with store.overlay() as overlay:
            commit(overlay, {}, transactions=1, body=made([b"always"]))
            assert overlay.places(sha256(b"always").digest())[-1] == (6, 0) and overlay.body(6) == made([b"always"])
            assert overlay.body(2) == made(blocks[2]) and overlay.entry(6, 0) == (b"always", b"always") and overlay.entry(6, 1) is None
        store._keeper._find_now()
        check([1, 2, 4, 5])
        store.rollback(4)
        del blocks[5]
        check([1, 2, 4])
        store.prune(3)
        with pytest.raises(VersionMissing):
            store.body(1)
        check([2, 4])
        commit(store, {}, transactions=1, body=made([b"always"]))
        store.prune(1)
        assert store.places(sha256(b"always").digest()) == [(5, 0)]
    if path is not None:
        assert examined(path) == []


def test_they_are_noted_beside_the_commits(tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what was left over when the state was last closed."""
    monkeypatch.setattr(keeper, "FIND_TRANSACTIONS", 25)
    for start in (0, 3):
        with new(tmp_path / "state") if start == 0 else Store.open(tmp_path / "state") as store:
            asked: list[dict[str, int]] = []
            monkeypatch.setattr(store._keeper.upkeep, "ask", lambda **job: asked.append(job) is None)
            for version in range(start + 1, start + 4 if start else 3):
                commit(store, {}, transactions=10, body=made([b"%d-%d" % (version, i) for i in range(10)]))
            assert [job for job in asked if "found" in job] == ([{"found": 4}] if start else [])
            if not start:
                commit(store, {}, transactions=0)


def test_the_store_notes_them_where_the_process_does_not_get_on(tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIND_TRANSACTIONS", 1)
    with new(tmp_path / "state") as store:
        monkeypatch.setattr(store._keeper.upkeep, "ask", lambda **job: False)
        for version in (1, 2):
            commit(store, {}, transactions=1, body=made([b"%d" % version]))
        assert store._view.look(lambda now: now.mark(b"found")) == 1  # before version 2 was committed
    assert examined(tmp_path / "state") == []


def test_what_is_pruned_while_it_is_noted(tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upkeep process takes its jobs in turns."""
    monkeypatch.setattr(bodies, "STEP", 3)
    with new(tmp_path / "state") as store:
        for version in (1, 2, 3):
            commit(store, {}, transactions=4, body=made([b"%d-%d" % (version, i) for i in range(4)]))
        handle = store._handle
        noting = bodies.find_steps(handle.env, handle.begin, handle.tables, 3)
        next(noting)
        store.prune(2)
        assert list(noting) and store.places(sha256(b"2-1").digest()) == [(2, 1)]
    assert examined(tmp_path / "state") == []


def test_a_state_from_before_there_were_bodies(tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    def before(env: Any, *, create: bool) -> Any:
        return {name: env.open_db(name.encode(), create=create) for name in genesis_tables}

    from ioi_storage.disk.rows import TABLES

    genesis_tables = [name for name in TABLES if name not in LATER_TABLES]
    with monkeypatch.context() as patch:
        patch.setattr(genesis, "open_tables", before)
        patch.setattr("ioi_storage.disk.handle.open_tables", lambda env, **_: before(env, create=False))
        new(tmp_path / "state").close()
    with Store.open(tmp_path / "state", read_only=True) as store:
        assert store.body(0) is None and store.entry(0, 0) is None and store.places(bytes(32)) == []
    assert examined(tmp_path / "state") == []
    with Store.open(tmp_path / "state") as store:
        commit(store, {}, transactions=1, body=made([b"tx"]))
        assert store.places(sha256(b"tx").digest()) == [(1, 0)]
    assert examined(tmp_path / "state") == []


def test_damage_is_no_answer(commit: Commit) -> None:
    with new(None) as store:
        for version in (1, 2):
            commit(store, {}, transactions=1, body=made([b"%d" % version]))
        store._view.drop()
        with store._handle.begin() as txn:
            txn.put(bodies.key_of(2, 7), b"no row of ours", db=store._handle.tables["bodies"])
        for read in (lambda: store.body(2), lambda: store.entry(2, 1), lambda: store.places(bytes(32))):
            with pytest.raises(StateCorrupt, match="bodies"):
                read()


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_body_that_is_lost_before_its_transactions_are_noted(tmp_path: Path, commit: Commit, lost: int, deep: bool) -> None:
    with new(tmp_path / "state") as store:
        commit(store, {}, transactions=1, body=made([b"first"]))
        commit(store, {}, transactions=1)  # without one, which nobody misses
        commit(store, {}, transactions=0, body=made([]))
        assert [store.version_row(version).has_body for version in range(4)] == [False, True, False, True]
        assert [store.version_row(version).transactions for version in range(4)] == [0, 1, 1, 0]
        with store._handle.begin() as txn:
            assert txn.delete(bodies.key_of(lost, 0), db=store._handle.tables["bodies"])
    (finding,) = examined(tmp_path / "state", deep)
    assert finding.table == "bodies" and "the version was committed with its transactions and receipts" in finding.reason
    with Store.open(tmp_path / "state") as store:
        assert store.body(lost) is None
        commit(store, {}, transactions=0)
        store.prune(1)
    assert examined(tmp_path / "state", deep) == [], "nobody misses what was pruned"
