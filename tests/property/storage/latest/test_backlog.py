"""However fast blocks come, what waits to be pruned is bounded: upkeep gives each of its jobs its turn, and a commit that finds too
much waiting waits itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ioi_storage import Store, check
from ioi_storage.disk import marks, reserve, stale
from ioi_storage.latest import catchup, keeper, upkeep

TREES = ["iavl", "jellyfish"]
KEYS = [b"key%04d" % number for number in range(600)]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
KEEP = 2


def commit(store: Store, rng: random.Random, count: int = 60) -> int:
    """How many stale rows it records."""
    staged = store.stage(sorted((key, rng.randbytes(8)) for key in rng.sample(KEYS, count)))
    store.commit(staged, **FIELDS)
    return sum(1 for piece in staged.stale for _ in stale.records(*piece))


def prunable_rows(store: Store) -> int:
    return store._view.look(lambda snapshot: snapshot.prunable_rows())


class Upkeep:
    """The process, which does one step whenever the store waits for it, and nothing in between."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.orders: dict[str, int] = {}
        self.running: dict[str, Iterator[Any]] = {}
        self.steps = 0
        monkeypatch.setattr(upkeep.Upkeep, "alive", True)
        monkeypatch.setattr(upkeep.Upkeep, "ask", lambda _, **job: self.orders.update(job) or True)
        monkeypatch.setattr(upkeep.Upkeep, "stop", lambda _: self.stop())

    def of(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(name: str, version: int) -> Iterator[Any]:
            return upkeep.JOBS[name](store._handle.env, store._handle.begin, store._handle.tables, version)

        def step(seconds: float) -> None:
            self.steps += 1
            upkeep.take_turn(self.orders, self.running, start)

        monkeypatch.setattr(keeper.time, "sleep", step)

    def stop(self) -> None:
        self.orders.clear()
        self.running.clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(stale, "STEP", 40)
    monkeypatch.setattr(stale, "SWEEP", 200)
    monkeypatch.setattr(catchup, "STEP", 40)
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    monkeypatch.setattr(keeper, "LAG_WRITES", 300)
    monkeypatch.setattr(keeper, "WAITING", 30)
    return monkeypatch


def test_each_job_gets_its_turn() -> None:
    done = []

    def start(name: str, version: int) -> Iterator[None]:
        for step in range(3):
            done.append((name, version, step))
            yield

    orders: dict[str, int] = {}
    running: dict[str, Iterator[None]] = {}
    for version in range(40):
        orders.update(dict.fromkeys(upkeep.JOBS, version))  # again and again, as blocks back to back do
        upkeep.take_turn(orders, running, start)
    assert {name for name, _, _ in done[: len(upkeep.JOBS)]} == set(upkeep.JOBS)
    assert all(one[0] != next_one[0] for one, next_one in zip(done, done[1:]))
    orders.clear()
    while running:
        upkeep.take_turn(orders, running, start)
    assert done[-1][2] == 2
    upkeep.take_turn(orders, running, start)


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("process", [True, False])
def test_back_to_back(tmp_path: Path, small: pytest.MonkeyPatch, tree: str, process: bool) -> None:
    """With a process as slow as can be, and without one."""
    rng, path = random.Random(1), tmp_path / "state"
    works = Upkeep(small)
    if not process:
        small.setattr(upkeep.Upkeep, "ask", lambda _, **job: False)
        small.setattr(upkeep.Upkeep, "alive", False)
    most_a_block, most, live = 0, 0, 0
    with Store.create(path, tree=tree, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        works.of(store, small)
        live = prunable_rows(store)
        store.keep = KEEP
        for _ in range(60):
            most_a_block = max(most_a_block, commit(store, rng))
            most = max(most, prunable_rows(store))
        assert bool(works.steps) == process
        lag = 300 // 60 + 1  # versions, which keep their stale rows too
        assert most <= live + keeper.WAITING * 45 + (KEEP + lag + 1) * most_a_block
    small.undo()
    assert check(path, deep=True).findings == []


@pytest.mark.parametrize("tree", TREES)
def test_a_small_state_is_swept_while_it_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: str) -> None:
    """As many rows as a sweep takes at once would be many times such a state."""
    rng, works = random.Random(2), Upkeep(monkeypatch)
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 100)
    with Store.create(tmp_path / "state", tree=tree, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        store.keep = KEEP
        recorded, size = 0, 0
        while "prune" not in works.orders and recorded < 20_000:
            recorded += commit(store, rng)
            size = store.upkeep()["file_bytes"]
        assert recorded < size / 500 / 2, "half of the file is stale rows"


def counted(store: Store) -> int:
    with store._handle.env.begin() as txn:
        newest = min(marks.read(txn, store._handle.tables, name) or 0 for name in (marks.OLDEST, marks.FLAT))
        keys = [key for key, _ in txn.cursor(store._handle.tables["stale"])]
    return sum(int.from_bytes(key[:8], "big") <= newest for key in keys)


@pytest.mark.parametrize("tree", TREES)
def test_what_waits_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: str) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)
    rng, seen = random.Random(2), set()
    with Store.create(tmp_path / "state", tree=tree, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        for _ in range(40):
            store.keep = rng.choice([None, 1, 3])
            commit(store, rng, rng.choice([0, 1, 60, 200, 200]))
            turn = rng.random()
            if turn < 0.3:
                store.settle()
            elif turn < 0.5:
                next(stale.steps(store._handle.env, store._handle.begin, store._handle.tables, rng.choice([1, 50])), None)
            known = counted(store)
            seen.add(known)
            for most in (0, 1, known, known + 1, 10**6):
                assert store._view.look(lambda snapshot, most=most: snapshot.waiting(most)) == min(known, most)
    assert len(seen) > 10


@pytest.mark.parametrize("tree", TREES)
def test_a_sweep_may_stop_anywhere(tmp_path: Path, small: pytest.MonkeyPatch, tree: str) -> None:
    """What it has recorded is found again, and which rows are gone already does no harm."""
    small.setattr(keeper, "UPKEEP_WRITES", 10**9)
    rng, path = random.Random(3), tmp_path / "state"
    with Store.create(path, tree=tree, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        for _ in range(5):
            commit(store, rng)
        model, rows = dict(store.scan()), prunable_rows(store)

    class Stopped(Exception):
        pass

    for transactions in [1, 2, 3, 4, 5, 1, 6, 7]:
        left = transactions

        def stop(_: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Stopped

        with Store.open(path) as store:
            with pytest.raises(Stopped):
                store.prune(1, stop)
            assert dict(store.scan()) == model
            assert prunable_rows(store) <= rows
            rows = prunable_rows(store)
        assert check(path, deep=True).findings == []
    with Store.open(path) as store:
        store.prune(1)
        assert counted(store) == 0 and dict(store.scan()) == model
        fresh = Store.create(None, tree=tree, meta={}, genesis=model.items())
        assert tree == "iavl" or prunable_rows(store) == prunable_rows(fresh)
        fresh.close()
    assert check(path, deep=True).findings == []


@pytest.mark.long
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("process", [True, False])
def test_the_file_is_level(tmp_path: Path, small: pytest.MonkeyPatch, tree: str, process: bool) -> None:
    if not process:
        small.setattr(upkeep.Upkeep, "ask", lambda _, **job: False)
    small.setattr(stale, "STEP", 400)
    rng, path, sizes = random.Random(4), tmp_path / "state", []
    with Store.create(path, tree=tree, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        store.keep = KEEP
        for _ in range(200):
            commit(store, rng, 200)
            sizes.append((path / "data.mdb").stat().st_size)
    assert max(sizes) <= 1.5 * max(sizes[:50])
    assert check(path, deep=True).findings == []


@pytest.mark.parametrize("path", ["state", None])
def test_how_things_stand_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)
    rng = random.Random(6)
    with Store.create(path and tmp_path / path, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        for _ in range(3):
            commit(store, rng, 300)
        said = store.upkeep()
        assert said["lagging_versions"] == (3 if path else 0) and said["waiting_rows"] == 0
        assert said["file_bytes"] > said["free_bytes"] >= said["reserve_bytes"] == (reserve.LEAST if path else 0)
        if path:
            assert said["file_bytes"] == (tmp_path / path / "data.mdb").stat().st_size
        store.settle()
        store.keep = 1
        commit(store, rng, 300)
        assert store.upkeep()["waiting_rows"] == counted(store) and (not path or counted(store))
        free = store.upkeep()["free_bytes"]
        store.prune(1)
        assert store.upkeep()["waiting_rows"] == 0
        assert store.upkeep()["free_bytes"] > free or not path


# ---- the flat table, in batches ----


def orders_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(version, how much lagged) of each order to bring up the flat table, from now on; nobody does it."""
    orders: list[tuple[int, int]] = []

    def ask(_: upkeep.Upkeep, flat: int | None = None, prune: int | None = None) -> bool:
        if flat is not None:
            orders.append((flat, store._view.lag_writes))
        return True

    monkeypatch.setattr(upkeep.Upkeep, "ask", ask)
    return orders


@pytest.mark.parametrize(
    ("sizes", "ordered"),
    [
        ([300] * 25, [10, 20]),  # blocks of usual size: ten at a time
        ([50] * 45, [40]),  # small ones: as many as are worth a process
        ([2_000] * 12, [3, 6, 9, 12]),  # large ones: of so many writes
        ([1] * 30, []),
    ],
)
def test_versions_are_brought_up_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], ordered: list[int]
) -> None:
    monkeypatch.setattr(keeper, "BATCH_WRITES", 5_000)
    with Store.create(tmp_path / "state", meta={}, genesis=[]) as store:
        orders = orders_of(store, monkeypatch)
        for version, size in enumerate(sizes):
            writes = [(b"%06d" % number, b"%d" % version) for number in range(size)]
            store.commit(store.stage(writes), **FIELDS)
        assert [version for version, _ in orders] == ordered
        store.settle()  # from where it begins anew
        for number in range(9):
            store.commit(store.stage([(b"%06d" % key, b"again%d" % number) for key in range(300)]), **FIELDS)
        assert len(orders) == len(ordered)


def test_large_values_are_brought_up_earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_ROOM", 1 << 20)
    with Store.create(tmp_path / "state", meta={}, genesis=[]) as store:
        orders = orders_of(store, monkeypatch)
        for version in range(6):
            store.commit(store.stage([(b"%d" % key, bytes([version]) * 100_000) for key in range(3)]), **FIELDS)
        assert [version for version, _ in orders] == [3, 6]


@pytest.mark.parametrize("bound", [("LAG_VERSIONS", 4), ("LAG_WRITES", 4 * 60), ("LAG_ROOM", 4 * 4_350)])
def test_what_a_state_reads_when_it_is_opened_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: tuple[str, int]
) -> None:
    """After a crash at any moment: in versions, in writes and in bytes."""
    monkeypatch.setattr(keeper, *bound)
    rng, path = random.Random(5), tmp_path / "state"
    with Store.create(path, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        monkeypatch.setattr(upkeep.Upkeep, "ask", lambda _, **job: False)
        for _ in range(30):
            commit(store, rng)
            versions, writes, room = store._view.lagging_since(0)
            assert versions <= 4 and writes <= 4 * 60 and room <= 4 * 4_350
        model = dict(store.scan())
    with Store.open(path) as store:
        assert dict(store.scan()) == model
