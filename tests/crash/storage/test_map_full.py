"""A state that outgrows its map, which is small where address space is limited: a clear error, nothing lost, and it goes
on where there is more."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ioi_storage import DiskFull, Store, check
from ioi_storage.disk import making
from ioi_storage.disk.environment import open_environment
from ioi_storage.latest import keeper

TREES = ["iavl", "jellyfish"]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
MAP = 600 * 4096

Pairs = dict[bytes, bytes]


@pytest.fixture
def small_map(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(making, "open_environment", partial(open_environment, map_size=MAP))
    return monkeypatch


def batch(rng: random.Random) -> Pairs:
    return {b"%d" % rng.randrange(400): rng.randbytes(rng.choice([30, 800, 5000])) for _ in range(60)}


def commit(store: Store, pairs: Pairs) -> None:
    store.commit(store.stage(sorted(pairs.items())), **FIELDS)


def fill(store: Store, model: Pairs, rng: random.Random) -> None:
    for _ in range(100):
        writes = batch(rng)
        try:
            commit(store, writes)
        except DiskFull as error:
            assert "ulimit" in str(error)
            return
        model |= writes
    raise AssertionError("it is not full")


@pytest.mark.parametrize("tree", TREES)
def test_a_commit(tmp_path: Path, small_map: pytest.MonkeyPatch, tree: str) -> None:
    rng, model = random.Random(1), {b"start": b"0"}
    with Store.create(tmp_path / "s", tree=tree, meta={}, genesis=model.items()) as store:
        for _ in range(3):
            fill(store, model, rng)
            assert not store.closed and dict(store.scan()) == model
        latest = store.latest
        assert latest.version > 3
        for version in range(latest.version + 1):
            assert store.version_row(version).version == version
        store.settle()  # which commits leave room for
        assert dict(store.scan()) == model
    small_map.undo()
    assert check(tmp_path / "s", deep=True).findings == []
    with Store.open(tmp_path / "s") as store:
        assert store.latest == latest and dict(store.scan()) == model
        writes = batch(rng)
        commit(store, writes)
        store.settle()
        store.prune(1)
        assert dict(store.scan()) == {**model, **writes}
    assert check(tmp_path / "s", deep=True).findings == []


@pytest.mark.parametrize("tree", TREES)
def test_pruning_makes_room(tmp_path: Path, small_map: pytest.MonkeyPatch, tree: str) -> None:
    small_map.setattr(making, "open_environment", partial(open_environment, map_size=3 * MAP))
    rng, model = random.Random(3), {b"start": b"0"}
    with Store.create(tmp_path / "s", tree=tree, meta={}, genesis=model.items()) as store:
        for _ in range(5):
            fill(store, model, rng)
            assert store.prune(2) > 0 and dict(store.scan()) == model
            commit(store, {b"one": b"1"})
            model[b"one"] = b"1"
    small_map.undo()
    assert check(tmp_path / "s", deep=True).findings == []


def test_the_upkeep_process(tmp_path: Path, small_map: pytest.MonkeyPatch) -> None:
    """Where a commit is refused for want of room, there is what bringing up the latest values takes."""
    small_map.setattr(keeper, "UPKEEP_WRITES", 10**6)
    rng, model = random.Random(2), {b"start": b"0"}
    with Store.create(tmp_path / "s", meta={}, genesis=model.items()) as store:
        fill(store, model, rng)
        assert store._keeper.upkeep is not None and store._keeper.upkeep.ask(flat=store.version)
        for _ in range(6000):
            assert not store._keeper.upkeep.failed
            if not store.lagging():
                break
            time.sleep(0.01)
        assert not store.lagging() and dict(store.scan()) == model
        fill(store, model, rng)
        assert dict(store.scan()) == model and not store.closed
    small_map.undo()
    with Store.open(tmp_path / "s") as store:
        commit(store, {b"one": b"1"})
        assert dict(store.scan()) == {**model, b"one": b"1"}
    assert check(tmp_path / "s", deep=True).findings == []


def test_create_and_load(tmp_path: Path, small_map: pytest.MonkeyPatch) -> None:
    pairs = {b"%d" % number: bytes(3000) for number in range(2000)}
    for make in (partial(Store.create, genesis=pairs.items()), partial(Store.load, pairs=pairs.items())):
        with pytest.raises(DiskFull, match="ulimit"):
            make(tmp_path / "s", meta={})
        assert list(tmp_path.iterdir()) == []
