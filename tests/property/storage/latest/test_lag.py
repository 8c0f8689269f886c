"""The flat table lags behind, and nobody sees it: random commits, reads, catch-ups, prunes and rollbacks against a dict.

Catching up is cut into single transactions, between which everybody reads: the writer, an overlay, and in processes of
their own a read-only store and a reader, which keep what they remember from one look to the next.
IOI_STORAGE_SEEDS histories.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import effort
import pytest
from ioi_storage import Reader, Store
from ioi_storage import check as check_file
from ioi_storage.disk import marks, stale
from ioi_storage.latest import catchup, keeper, lag, upkeep

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=8, many=60)
KEYS = [b"k%02d" % i for i in range(40)]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

Model = dict[bytes, bytes]


def check(state: Any, model: Model, rng: random.Random) -> None:
    for key in rng.sample(KEYS, 6):
        assert state.get(key) == model.get(key)
    keys = sorted(rng.sample(KEYS, 12))
    assert state.getmulti(keys) == [model.get(key) for key in keys]
    start, end = (rng.choice([None, *KEYS]) for _ in range(2))
    reverse = rng.random() < 0.5
    inside = [(k, v) for k, v in sorted(model.items(), reverse=reverse) if (start or b"") <= k and (end is None or k < end)]
    assert list(state.scan(start, end, reverse=reverse)) == inside


def random_writes(rng: random.Random) -> dict[bytes, bytes | None]:
    return {key: rng.choice([None, rng.randbytes(3)]) for key in rng.sample(KEYS, rng.randint(0, 9))}


def apply(model: Model, writes: dict[bytes, bytes | None]) -> Model:
    return {key: value for key, value in {**model, **writes}.items() if value is not None}


class Work:
    """What the upkeep process does, one transaction at a call, on the store's own environment: LMDB must not be opened
    twice by one process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catchup, "STEP", 5)
        monkeypatch.setattr(stale, "STEP", 5)
        monkeypatch.setattr(stale, "SWEEP", 20)
        monkeypatch.setattr(upkeep.Upkeep, "ask", lambda _, **job: False)  # there is no process
        monkeypatch.setattr(upkeep.Upkeep, "stop", lambda _: self.stop())
        self.orders: dict[str, int] = {}
        self.running: dict[str, Iterator[Any]] = {}

    def step(self, store: Store, job: str) -> None:
        self.orders[job] = {"flat": store.version, "prune": store.oldest}[job]

        def start(name: str, version: int) -> Iterator[Any]:
            return upkeep.JOBS[name](store._handle.env, store._handle.begin, store._handle.tables, version)

        upkeep.take_turn(self.orders, self.running, start)

    def stop(self) -> None:
        """As a store does before it does such work itself: two at once would overwrite new values by old ones."""
        self.orders.clear()
        self.running.clear()


class Onlooker:
    """onlooker.py, run as a process; LMDB must not be opened twice by one."""

    def __init__(self, mode: str) -> None:
        script = Path(__file__).with_name("onlooker.py")
        self._process = subprocess.Popen([sys.executable, script, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command: str, argument: Any = None) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, argument]).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the onlooker died, its traceback is on stderr"
        return json.loads(answer)

    def check(self, version: int, model: Model, rng: random.Random) -> None:
        keys = sorted(rng.sample(KEYS, 12))
        found = self.ask("look", [key.hex() for key in keys])
        values = [model[key].hex() if key in model else None for key in keys]
        pairs = [[key.hex(), value.hex()] for key, value in sorted(model.items())]
        assert found == {"version": version, "get": values, "getmulti": values, "scan": pairs, "reverse": pairs[::-1]}

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def onlookers() -> Iterator[tuple[Onlooker, Onlooker]]:
    beside, reader = Onlooker("store"), Onlooker("reader")
    yield beside, reader
    beside.close()
    reader.close()


@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_random_histories(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, onlookers: tuple[Onlooker, Onlooker]
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(keeper, "LAG_VERSIONS", rng.choice([2, 5, 64]))
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)  # no process: this test is it
    path = tmp_path / "state"
    models: list[Model] = [{key: rng.randbytes(3) for key in KEYS[::2]}]
    blocks: list[dict[bytes, bytes | None]] = [{}]  # blocks[v] made models[v]
    store = Store.create(path, meta={}, genesis=models[0].items())
    work = Work(monkeypatch)
    beside, reader = onlookers
    beside.ask("open", str(path))
    reader.ask("open", {**store.reader_spec(), "fd": None})  # it was started before, and has not inherited it
    reader.ask("begin")
    begun = (0, models[0])  # what the reader's transaction sees
    lagged = 0

    def commit(writes: dict[bytes, bytes | None]) -> None:
        store.commit(store.stage(sorted(writes.items())), **FIELDS)
        models.append(apply(models[-1], writes))
        blocks.append(writes)

    for _ in range(60):
        turn = rng.random()
        if turn < 0.3:
            commit(random_writes(rng))
        elif turn < 0.65:
            lagged += bool(store.lagging())
            work.step(store, rng.choice(["flat", "prune"]))
        elif turn < 0.7:
            store.settle()
            assert not store.lagging()
        elif turn < 0.75:
            keep = store.keep
            store.close()  # in the middle, as if killed
            store = Store.open(path)
            store.keep = keep
        elif turn < 0.8:
            store.keep = rng.choice([None, 1, 1, 4])
        elif turn < 0.82:
            store.prune(rng.randint(1, 5))
        elif turn < 0.87:
            version = rng.randint(store.oldest, store.version)
            store.rollback(version)
            again = blocks[version + 1 :]
            del models[version + 1 :], blocks[version + 1 :]
            for writes in again if rng.random() < 0.5 else []:  # the roots are those from before; the marks are not
                commit(writes)
        elif turn < 0.92:
            writes = random_writes(rng)
            with store.overlay() as overlay:
                overlay.commit(overlay.stage(sorted(writes.items())), **FIELDS)
                check(overlay, apply(models[-1], writes), rng)
        check(store, models[-1], rng)
        if rng.random() < 0.6:
            beside.check(store.version, models[-1], rng)
        reader.check(*begun, rng)
        if rng.random() < 0.4:
            reader.ask("begin")
            begun = (store.version, models[-1])
    assert lagged, "no read was made while anything lagged"
    beside.ask("close")
    reader.ask("close")
    reader_over(path, models[-1], rng, store)


def reader_over(path: Path, model: Model, rng: random.Random, store: Store) -> None:
    """What workers do: the flat table as it is, and the lag that the store hands out laid over it."""
    spec, newest = {**store.reader_spec(), "fd": None}, dict(store.lagging())  # the descriptor is closed with the store
    store.close()
    with Reader(spec, lag=False) as reader:
        reader.begin()
        assert apply(dict(reader.scan(None, None)), newest) == model


def test_an_open_scan_is_not_disturbed_by_catching_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = {key: b"old" for key in KEYS[::2]}
    with Store.create(tmp_path / "state", meta={}, genesis=model.items()) as store:
        writes = {key: b"new" for key in KEYS[::3]}
        store.commit(store.stage(sorted(writes.items())), **FIELDS)
        model = apply(model, writes)
        scan = store.scan()
        read = [next(scan) for _ in range(5)]
        store.settle()
        assert store.get(KEYS[0]) == b"new" and not store.lagging()
        assert read + list(scan) == sorted(model.items())


def test_the_process_catches_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    path = tmp_path / "state"
    with Store.create(path, meta={}, genesis=[]) as store:
        store.commit(store.stage([(key, b"x") for key in KEYS]), **FIELDS)
        until(lambda: not store.lagging())
        assert dict(store.scan()) == {key: b"x" for key in KEYS}
        assert store._keeper.upkeep is not None and store._keeper.upkeep.alive
        process = store._keeper.upkeep._process
    assert process is not None and process.poll() == 0, "it ends with the store"
    with Store.open(path) as store:
        assert store._view.read(lambda snapshot: snapshot.mark(marks.FLAT)) == 1


def test_a_killed_process_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    with Store.create(tmp_path / "state", meta={}, genesis=[]) as store:
        for number in range(3):
            store.commit(store.stage([(key, b"%d" % number) for key in KEYS]), **FIELDS)
            until(lambda: not store.lagging())
            assert store._keeper.upkeep is not None and store._keeper.upkeep._process is not None
            store._keeper.upkeep._process.kill()
            store._keeper.upkeep._process.wait()


@pytest.mark.parametrize("meanwhile", ["settle", "rollback"])
def test_an_orphan_writes_no_old_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str) -> None:
    """The lock of a process that dies is free a moment before its children can know: one may be in the middle of it."""
    monkeypatch.setattr(catchup, "STEP", 5)
    path = tmp_path / "state"
    with Store.create(path, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        store.commit(store.stage([(key, b"1") for key in KEYS]), **FIELDS)
        orphan = upkeep.JOBS["flat"](store._handle.env, store._handle.begin, store._handle.tables, 1)
        next(orphan)
        if meanwhile == "settle":
            store.commit(store.stage([(key, b"2") for key in KEYS]), **FIELDS)
            store.settle()
        else:
            store.rollback(0)
        model = dict(store.scan())
        with pytest.raises(SystemExit):
            next(orphan)
        assert dict(store.scan()) == model == {key: b"2" if meanwhile == "settle" else b"0" for key in KEYS}
    assert check_file(path, deep=True).findings == []


def test_without_a_process_the_commit_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LAG_WRITES", 50)
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    monkeypatch.setattr(upkeep.Upkeep, "ask", lambda self, **job: None)
    most = 0
    with Store.create(tmp_path / "state", meta={}, genesis=[]) as store:
        for number in range(9):
            store.commit(store.stage([(key, b"%d" % number) for key in KEYS]), **FIELDS)
            most = max(most, store._view.lag_writes)
        assert dict(store.scan()) == {key: b"8" for key in KEYS}
    assert most <= 50 + len(KEYS)


def until(true: Callable[[], bool]) -> None:
    patience = time.monotonic() + 300
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_versions_come_one_after_another() -> None:
    lagging = lag.Lag(3)
    lagging.add(4, [(b"a", b"1"), (b"b", None)])
    with pytest.raises(AssertionError):
        lagging.add(6, [])
    before = lagging.share()
    lagging.add(5, [(b"a", None)])
    assert lagging.values == {b"a": None, b"b": None} and before.values == {b"a": b"1", b"b": None}
    lagging.forget(4)
    assert (lagging.values, lagging.flat, lagging.newest, lagging.writes) == ({b"a": None}, 4, 5, 1)


def test_a_store_beside_sees_through_a_rollback(tmp_path: Path, onlookers: tuple[Onlooker, Onlooker]) -> None:
    """The same blocks again give the same roots, while the flat table has fewer of them than before."""
    rng, beside = random.Random(1), onlookers[0]
    model = {key: b"old" for key in KEYS}
    with Store.create(tmp_path / "state", meta={}, genesis=model.items()) as store:
        beside.ask("open", str(tmp_path / "state"))
        writes = [{key: b"new"} for key in KEYS[:12]]
        for number, write in enumerate(writes):
            if number == 10:
                store.settle()
            store.commit(store.stage(list(write.items())), **FIELDS)
            model |= write
        beside.check(12, model, rng)
        store.rollback(5)
        for write in writes[5:]:
            store.commit(store.stage(list(write.items())), **FIELDS)
        assert store._view.read(lambda snapshot: snapshot.mark(marks.FLAT)) == 5
        beside.check(12, model, rng)
        beside.ask("close")


def test_an_open_scan_beside_stays_at_its_version(tmp_path: Path, onlookers: tuple[Onlooker, Onlooker]) -> None:
    """Even while the same store, between two pairs, reads what was committed since."""
    rng, beside = random.Random(1), onlookers[0]
    model = {key: b"old" for key in KEYS}
    with Store.create(tmp_path / "state", meta={}, genesis=model.items()) as store:
        store.commit(store.stage([(key, b"new") for key in KEYS[::2]]), **FIELDS)
        model |= {key: b"new" for key in KEYS[::2]}
        beside.ask("open", str(tmp_path / "state"))
        seen = beside.ask("scan", 3)
        then = model
        for value in (None, b"newest"):
            store.commit(store.stage([(key, value) for key in KEYS[::4]]), **FIELDS)
            model = apply(model, {key: value for key in KEYS[::4]})
            beside.check(store.version, model, rng)
            seen += beside.ask("scan", 7)
        store.settle()
        seen += beside.ask("scan", len(KEYS))
        assert seen == [[key.hex(), value.hex()] for key, value in sorted(then.items())]
        beside.ask("close")


def test_closing_does_not_wait_for_forked_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    store = Store.create(tmp_path / "state", meta={}, genesis=[])
    store.commit(store.stage([(b"key", b"value")]), **FIELDS)
    blocked, release = os.pipe()
    child = os.fork()
    if child == 0:  # has a copy of the pipe by which the process gets its orders
        os.close(release)
        os.read(blocked, 1)
        os._exit(0)
    os.close(blocked)
    try:
        monkeypatch.setattr(upkeep, "_PATIENCE", 120.0)
        begin = time.monotonic()
        store.close()
        assert time.monotonic() - begin < 60
    finally:
        os.close(release)
        os.waitpid(child, 0)
