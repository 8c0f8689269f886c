"""Pruning and rolling back: random histories against a dict a version. IOI_STORAGE_SEEDS histories."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import effort
import pytest
from ioi_storage import StaleStage, Store, VersionMissing
from ioi_storage.disk import stale as stale_rows
from ioi_storage.disk.rows import value_key
from ioi_storage.disk.stale import records
from ioi_storage.history import rollback
from ioi_storage.latest import catchup, keeper
from ioi_storage.trees import jellyfish
from ioi_storage.trees.seam import Inner, Node, TreeHead, _trees

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=15, many=80)
KEYS = [b"k%03d" % i for i in range(60)]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

Model = dict[bytes, bytes]


def reachable(store: Store, version: int) -> tuple[set[bytes], set[bytes]]:
    """Keys of the rows of nodes and of values that a version needs."""
    row = store.version_row(version)
    nodes: set[bytes] = set()
    values: set[bytes] = set()

    def read(keys: Any) -> Any:
        nodes.update(keys)
        return store._nodes(keys)

    def walk(node: Node | None) -> None:
        if isinstance(node, Inner):
            for half in store._tree.split(read, node):
                walk(half)
        elif node is not None:
            values.add(value_key(node.version, node.key_hash))

    walk(store._tree.top(read, TreeHead(row.root, row.head)))
    return nodes, values


def table(store: Store, name: str) -> dict[bytes, bytes]:
    with store._handle.env.begin() as txn:
        return dict(txn.cursor(store._handle.tables[name]))


def check_rows(store: Store) -> None:
    """No row too few, none too many: reachable from a kept version, or recorded as stale by one that is."""
    kept = range(store.oldest, store.version + 1)
    needed = [reachable(store, version) for version in kept]
    nodes, values = (set().union(*(sets[i] for sets in needed)) for i in (0, 1))
    recorded: dict[str, set[bytes]] = {"nodes": set(), "values": set()}
    for key, row in table(store, "stale").items():
        stale_from = int.from_bytes(key[:8], "big")
        for name, row_key in records(key, row):
            recorded[name].add(row_key)
            for version, (nodes_then, values_then) in zip(kept, needed):
                assert version < stale_from or row_key not in (nodes_then if name == "nodes" else values_then)
    newest_nodes, newest_values = needed[-1]
    assert set(table(store, "nodes")) == nodes | (recorded["nodes"])
    assert set(table(store, "values")) == values | (recorded["values"])
    assert recorded["nodes"].isdisjoint(newest_nodes) and recorded["values"].isdisjoint(newest_values)
    assert set(table(store, "versions")) >= {version.to_bytes(8, "big") for version in kept}


def check(store: Store, model: list[Model], roots: list[bytes], rng: random.Random) -> None:
    assert store.version == len(model) - 1 and store.root == roots[-1]
    for version, state in enumerate(model):
        if version < store.oldest:
            with pytest.raises(VersionMissing, match="no longer kept"):
                store.get(KEYS[0], version)
            continue
        assert store.version_row(version).root == roots[version]
        assert store.version_row(version).keys == len(state)
        for key in rng.sample(KEYS, 5):
            assert store.get(key, version) == state.get(key)
    assert list(store.scan()) == sorted(model[-1].items())
    for key in rng.sample(KEYS, 5):
        assert store.get(key) == model[-1].get(key)


@pytest.mark.parametrize("tree", sorted(_trees))
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_random_histories(seed: int, tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(jellyfish, "_CUT", rng.choice([1, 256]))
    for module in (catchup, stale_rows, rollback):
        monkeypatch.setattr(module, "STEP", rng.choice([3, 10, 1000]))
    monkeypatch.setattr(keeper, "LAG_VERSIONS", rng.choice([2, 5, 64]))
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**9)
    path = tmp_path / "state" if rng.random() < 0.8 else None
    genesis = {key: rng.randbytes(3) for key in KEYS[::2]}
    model: list[Model] = [genesis]
    store = Store.create(path, tree=tree, meta={}, genesis=genesis.items())
    twin = Store.create(None, tree=tree, meta={}, genesis=genesis.items())  # never prunes, and is rebuilt on a rollback
    history: list[dict[bytes, bytes | None]] = []
    roots = [store.root]
    for _ in range(40):
        turn = rng.random()
        if turn < 0.6:
            writes = {key: rng.choice([None, rng.randbytes(3)]) for key in rng.sample(KEYS, rng.randint(0, 12))}
            if rng.random() < 0.1:
                writes = dict.fromkeys(KEYS)
            store.commit(store.stage(sorted(writes.items())), **FIELDS)
            twin.commit(twin.stage(sorted(writes.items())), **FIELDS)
            assert store.root == twin.root
            history.append(writes)
            model.append({k: v for k, v in {**model[-1], **writes}.items() if v is not None})
            roots.append(store.root)
        elif turn < 0.7:
            store.prune(rng.randint(1, 8))
            assert not any(int.from_bytes(key[:8], "big") <= store.oldest for key in table(store, "stale"))
        elif turn < 0.75:
            store.keep = rng.choice([None, 1, 3, 10])
        elif turn < 0.85:
            version = rng.randint(store.oldest, store.version)
            stale = store.stage([])
            rolled_back = version < store.version
            store.rollback(version)
            if rolled_back:
                with pytest.raises(StaleStage):
                    store.commit(stale, **FIELDS)
            del model[version + 1 :], roots[version + 1 :], history[version:]
            twin.close()
            twin = Store.create(None, tree=tree, meta={}, genesis=genesis.items())
            for writes in history:
                twin.commit(twin.stage(sorted(writes.items())), **FIELDS)
        elif turn < 0.95 and path is not None:
            keep = store.keep
            store.close()
            store = Store.open(path)
            store.keep = keep
        check(store, model, roots, rng)
    check_rows(store)
    store.close()
    twin.close()
