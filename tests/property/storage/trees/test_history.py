"""Random histories against a dictionary and the naive tree: roots, every old version, scans, overlays, reopening.

IOI_STORAGE_SEEDS widens the range of seeds; a failure names its seed (the test's parameter)."""

from __future__ import annotations

import random
from typing import Any

import effort
import pytest
from ioi_storage import State, Store
from ioi_storage.trees import jellyfish
from naive_tree import naive_root

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=20, many=160)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
SHARING_32_BITS = [b"69235", b"95303"]

Model = dict[bytes, bytes]


def some_keys(rng: random.Random) -> list[bytes]:
    count = rng.choice([1, 2, 5, 30, 300, 1500])
    keys = {bytes([rng.randrange(256)]) * rng.randrange(1, 4) + b"%d" % rng.randrange(count * 2) for _ in range(count)}
    return sorted(keys | {*SHARING_32_BITS, b"\0", b"\xff" * 511})


def some_batch(rng: random.Random, keys: list[bytes]) -> dict[bytes, bytes | None]:
    touched, deleted = rng.choice([0, 0.01, 0.1, 0.5, 1]), rng.choice([0, 0.2, 0.5, 0.95, 1])
    return {
        key: None if rng.random() < deleted else rng.randbytes(rng.choice([0, 1, 8, 60, 3000]))
        for key in keys
        if rng.random() < touched
    }


def apply(model: Model, batch: dict[bytes, bytes | None]) -> Model:
    return {key: value for key, value in {**model, **batch}.items() if value is not None}


def check_now(state: State, model: Model, keys: list[bytes], rng: random.Random) -> None:
    assert state.root == naive_root(model)
    assert state.latest.keys == len(model)
    for key in rng.sample(keys, min(len(keys), 50)):
        assert state.get(key) == model.get(key)
        assert state.get(key + b"?"[: 511 - len(key)]) == model.get(key + b"?"[: 511 - len(key)])
    for _ in range(6):
        start, end = (rng.choice([None, rng.choice(keys), rng.randbytes(rng.randrange(3))]) for _ in range(2))
        limit, reverse = rng.choice([None, None, 0, 1, 7]), rng.random() < 0.5
        expected = sorted(
            (k, v) for k, v in model.items() if (start is None or k >= start) and (end is None or k < end)
        )
        got = list(state.scan(start, end, reverse=reverse, limit=limit))
        assert got == (expected[::-1] if reverse else expected)[:limit]


def check_history(state: State, history: list[Model], keys: list[bytes], rng: random.Random) -> None:
    for version, model in enumerate(history):
        assert state.version_row(version).root == naive_root(model)
        for key in rng.sample(keys, min(len(keys), 30)):
            assert state.get(key, version) == model.get(key)


@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_history(seed: int, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(jellyfish, "_CUT", rng.choice([1, 256]))
    keys = some_keys(rng)
    model: Model = {key: rng.randbytes(rng.randrange(9)) for key in keys if rng.random() < rng.choice([0, 0.5, 1])}
    history = [model]
    path = tmp_path / "state" if seed % 3 == 0 else None
    store = Store.create(path, meta={}, genesis=rng.sample(list(model.items()), len(model)))
    try:
        for _ in range(rng.randrange(1, 12)):
            batch = some_batch(rng, keys)
            staged = store.stage(sorted(batch.items()))
            model = apply(model, batch)
            assert staged.root == naive_root(model)
            if rng.random() < 0.3:
                check_overlay(store, history, keys, rng)
            store.commit(staged, **FIELDS)
            history.append(model)
            check_now(store, model, keys, rng)
            if path is not None and rng.random() < 0.2:
                store.close()
                store = Store.open(path)
        check_history(store, history, keys, rng)
    finally:
        store.close()


def check_overlay(base: State, history: list[Model], keys: list[bytes], rng: random.Random) -> None:
    """Some versions on top of the base, perhaps on each other; the base must not notice."""
    before, model = base.latest, history[-1]
    history = list(history)
    written: dict[bytes, bytes | None] = {}
    with base.overlay() as overlay:
        for _ in range(rng.randrange(1, 4)):
            batch = some_batch(rng, keys)
            overlay.commit(overlay.stage(sorted(batch.items())), **FIELDS)
            model = apply(model, batch)
            history.append(model)
            written |= batch
            check_now(overlay, model, keys, rng)
            if rng.random() < 0.2:
                check_overlay(overlay, history, keys, rng)
        check_history(overlay, history, keys, rng)
        writes = overlay.writes()
        assert writes.items() <= written.items()
        assert apply(history[before.version], writes) == model
    assert base.latest == before


@pytest.mark.parametrize("seed", range(8))
def test_order_of_arrival_leaves_no_trace(seed: int) -> None:
    """One state, reached by many small batches in random order with detours, or by one genesis."""
    rng = random.Random(seed)
    keys = some_keys(rng)
    target = {key: rng.randbytes(4) for key in keys if rng.random() < 0.7}
    with Store.create(None, meta={}, genesis=[]) as store:
        for key in rng.sample(keys, len(keys)):
            detour = {rng.choice(keys): rng.choice([None, b"detour"])}
            store.commit(store.stage(sorted({**detour, key: target.get(key)}.items())), **FIELDS)
            if store.version > 200:
                break
        store.commit(store.stage([(key, target.get(key)) for key in keys]), **FIELDS)
        assert store.root == naive_root(target)
        assert dict(store.scan()) == target
