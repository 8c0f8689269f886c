"""State.diff and State.pairs against dictionaries, on every tree. IOI_STORAGE_SEEDS histories; the seed is the parameter."""

from __future__ import annotations

import random
from typing import Any

import effort
import pytest
from ioi_storage import StaleStage, State, Store, VersionMissing
from ioi_storage.trees.seam import _trees

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=15, many=60)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
TREES = sorted(_trees)

Model = dict[bytes, bytes]


def commit(state: State, writes: dict[bytes, Any]) -> None:
    state.commit(state.stage(sorted(writes.items())), **FIELDS)


def in_order(state: State, keys: set[bytes]) -> list[bytes]:
    return sorted(keys, key=state._tree.place)


def check(state: State, history: list[Model], one: int, two: int) -> None:
    old, new = history[one], history[two]
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    expected = [(key, old.get(key), new.get(key)) for key in in_order(state, changed)]
    assert list(state.diff(one, two)) == expected


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_random_histories(seed: int, tree: str, tmp_path) -> None:
    rng = random.Random(seed)
    keys = [b"%d" % i for i in range(rng.choice([2, 20, 300]))] + [b"69235", b"95303"]
    model: Model = {key: rng.randbytes(2) for key in keys if rng.random() < rng.choice([0, 0.5, 1])}
    history = [model]
    path = tmp_path / "state" if seed % 2 else None
    with Store.create(path, tree=tree, meta={}, genesis=model.items()) as store:
        for _ in range(8):
            touched, deleted = rng.choice([0, 0.02, 0.3, 1]), rng.choice([0, 0.3, 1])
            writes = {
                key: None if rng.random() < deleted else rng.choice([model.get(key), rng.randbytes(2)])
                for key in keys
                if rng.random() < touched
            }
            commit(store, writes)
            model = {k: v for k, v in {**model, **writes}.items() if v is not None}
            history.append(model)
        for one, two in [(0, 8), (8, 0), *((rng.randrange(9), rng.randrange(9)) for _ in range(8))]:
            check(store, history, one, two)
        for version, then in enumerate(history):
            assert list(store.pairs(version)) == [(key, then[key]) for key in in_order(store, set(then))]
        assert list(store.pairs()) == list(store.pairs(8))
        with store.overlay() as overlay:
            commit(overlay, {b"overlay": b"1", keys[0]: None})
            history.append({k: v for k, v in {**model, b"overlay": b"1"}.items() if k != keys[0]})
            check(overlay, history, 9, 3)
            assert dict(overlay.pairs()) == history[-1]
        with pytest.raises(VersionMissing):
            store.diff(0, 9)


@pytest.mark.parametrize("tree", TREES)
def test_costs_what_changed(tree: str) -> None:
    """Few rows are read for few changes, also where the tree grew or turned in between."""
    rng = random.Random(1)
    keys = [b"%06d" % rng.randrange(10**6) for _ in range(5000)]
    with Store.create(None, tree=tree, meta={}, genesis=dict.fromkeys(keys, b"0").items()) as store:
        for number in range(10):
            commit(store, {b"new%d" % number: b"1", keys[number]: b"changed"})
        reads = 0
        original = store._tree.split

        def counted(*arguments: Any) -> Any:
            nonlocal reads
            reads += 1
            return original(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(store._tree), "split", lambda self, *rest: counted(*rest))
            changes = list(store.diff(0, store.version))
        assert len(changes) == 20
        assert reads < 20 * 2 * 40  # of 2 x 5000 splits


@pytest.mark.parametrize("tree", TREES)
def test_a_walk_in_memory_does_not_outlive_a_commit(tree: str) -> None:
    with Store.create(None, tree=tree, meta={}, genesis=[(b"%d" % i, b"") for i in range(100)]) as store:
        pairs = store.pairs()
        next(pairs)
        commit(store, {b"1": b"x"})
        with pytest.raises(StaleStage):
            list(pairs)
        pairs = store.pairs()
        next(pairs)
        store.prune(1)
        with pytest.raises(StaleStage):
            list(pairs)


@pytest.mark.parametrize("tree", TREES)
def test_a_walk_on_disk_outlives_commits_and_pruning(tree: str, tmp_path) -> None:
    genesis = {b"%d" % i: b"0" for i in range(2000)}
    with Store.create(tmp_path / "state", tree=tree, meta={}, genesis=genesis.items()) as store:
        commit(store, dict.fromkeys(list(genesis)[::2], b"1"))
        pairs, changes = store.pairs(0), store.diff(0, 1)
        seen, changed = dict([next(pairs)]), [next(changes)]
        for number in range(5):
            commit(store, dict.fromkeys(genesis, b"%d" % number))
        store.prune(1)
        seen |= dict(pairs)
        changed += changes
        assert seen == genesis and len(changed) == 1000


@pytest.mark.parametrize("tree", TREES)
def test_a_version_that_is_pruned_before_the_walk_begins(tree: str, tmp_path) -> None:
    with Store.create(tmp_path / "state", tree=tree, meta={}, genesis=[(b"%d" % i, b"") for i in range(100)]) as store:
        walks = store.pairs(0), store.diff(0, 0), store.snapshot(0)
        commit(store, {b"1": b"x"})
        store.prune(1)
        for lazy in walks:
            with pytest.raises(VersionMissing, match="no longer kept"):
                next(lazy)
