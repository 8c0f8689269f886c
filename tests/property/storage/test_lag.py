"""The flat table lags behind, and nobody sees it: random commits, reads and catch-ups against a dict.

Catching up is cut into single transactions, between which everybody reads: the writer, a store beside it, a reader in
mid-transaction, an overlay. IOI_STORAGE_SEEDS histories.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ioi_storage.store as store_module
from ioi_storage import Reader, Store, catchup, lag, marks, upkeep

SEEDS = int(os.environ.get("IOI_STORAGE_SEEDS", "30"))
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


class CatchUp:
    """What the upkeep process does, one transaction at a call, by a second environment of the same file."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catchup, "STEP", 5)
        monkeypatch.setattr(upkeep.Upkeep, "stop", lambda _: self.stop())
        self.path = path
        self.steps: Iterator[None] = iter(())

    def step(self, store: Store) -> None:
        """On the store's own environment: LMDB must not be opened twice by one process."""
        if next(self.steps, "over") == "over":
            begin = partial(store._env.begin, write=True)
            self.steps = upkeep.JOBS["flat"](store._env, begin, store._tables, store.version)

    def stop(self) -> None:
        """As a store does before it catches up itself: two at once would overwrite new values by old ones."""
        self.steps = iter(())


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_histories(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(store_module, "LAG_VERSIONS", rng.choice([2, 5, 64]))
    monkeypatch.setattr(store_module, "UPKEEP_WRITES", 10**9)  # no process: this test is it
    path = tmp_path / "state"
    model: Model = {key: rng.randbytes(3) for key in KEYS[::2]}
    store = Store.create(path, meta={}, genesis=model.items())
    work = CatchUp(path, monkeypatch)
    lagged = 0
    for _ in range(60):
        turn = rng.random()
        if turn < 0.3:
            writes = random_writes(rng)
            store.commit(store.stage(sorted(writes.items())), **FIELDS)
            model = apply(model, writes)
        elif turn < 0.7:
            lagged += bool(store.lagging())
            work.step(store)
        elif turn < 0.75:
            store.settle()
            assert not store.lagging()
        elif turn < 0.8:
            store.close()  # in the middle, as if killed
            with Store.open(path, read_only=True) as beside:
                check(beside, model, rng)
            reader_over(path, model, rng)
            store = Store.open(path)
        elif turn < 0.85:
            writes = random_writes(rng)
            with store.overlay() as overlay:
                overlay.commit(overlay.stage(sorted(writes.items())), **FIELDS)
                check(overlay, apply(model, writes), rng)
        check(store, model, rng)
    assert lagged, "no read was made while anything lagged"
    store.close()


def reader_over(path: Path, model: Model, rng: random.Random) -> None:
    with Store.open(path) as store:
        spec = json.loads(json.dumps(store.reader_spec()))
    with Reader(spec) as reader:
        reader.begin()
        check_reader(reader, model, rng)
    with Store.open(path) as store:
        newest = dict(store.lagging())
    with Reader(spec, lag=False) as reader:
        reader.begin()
        flat = dict(reader.scan(None, None))
        assert apply(flat, newest) == model


def check_reader(reader: Reader, model: Model, rng: random.Random) -> None:
    for key in rng.sample(KEYS, 6):
        assert reader.get(key) == model.get(key)
    keys = sorted(rng.sample(KEYS, 12))
    assert reader.getmulti(keys) == [model.get(key) for key in keys]
    for reverse in (False, True):
        assert list(reader.scan(KEYS[3], KEYS[30], reverse)) == [
            (k, v) for k, v in sorted(model.items(), reverse=reverse) if KEYS[3] <= k < KEYS[30]
        ]


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
    monkeypatch.setattr(store_module, "UPKEEP_WRITES", 1)
    path = tmp_path / "state"
    with Store.create(path, meta={}, genesis=[]) as store:
        store.commit(store.stage([(key, b"x") for key in KEYS]), **FIELDS)
        until(lambda: not store.lagging())
        assert dict(store.scan()) == {key: b"x" for key in KEYS}
        assert store._upkeep is not None and store._upkeep.alive
        process = store._upkeep._process
    assert process is not None and process.poll() == 0, "it ends with the store"
    with Store.open(path) as store:
        assert store._read(lambda snapshot: snapshot.mark(marks.FLAT)) == 1


def test_a_killed_process_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "UPKEEP_WRITES", 1)
    with Store.create(tmp_path / "state", meta={}, genesis=[]) as store:
        for number in range(3):
            store.commit(store.stage([(key, b"%d" % number) for key in KEYS]), **FIELDS)
            until(lambda: not store.lagging())
            assert store._upkeep is not None and store._upkeep._process is not None
            store._upkeep._process.kill()
            store._upkeep._process.wait()


def test_without_a_process_the_commit_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LAG_WRITES", 50)
    monkeypatch.setattr(store_module, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(upkeep.Upkeep, "ask", lambda self, **job: None)
    most = 0
    with Store.create(tmp_path / "state", meta={}, genesis=[]) as store:
        for number in range(9):
            store.commit(store.stage([(key, b"%d" % number) for key in KEYS]), **FIELDS)
            assert store._lag is not None
            most = max(most, store._lag.writes)
        assert dict(store.scan()) == {key: b"8" for key in KEYS}
    assert most <= 50 + len(KEYS)


def until(true: Callable[[], bool]) -> None:
    patience = time.monotonic() + 60
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
    assert before == {b"a": b"1", b"b": None} and lagging.values == {b"a": None, b"b": None}
    lagging.forget(4)
    assert (lagging.values, lagging.flat, lagging.newest, lagging.writes) == ({b"a": None}, 4, 5, 1)


