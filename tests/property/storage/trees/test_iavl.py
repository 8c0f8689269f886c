"""The IAVL tree against one by the formulas (naive_iavl.py): roots, the tree node by node, what can be read of every version.

IOI_STORAGE_SEEDS histories; the seed is the parameter. What all trees share is tested with both elsewhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Optional

import effort
import naive_iavl
import pytest
from ioi_storage import Store
from ioi_storage.trees.seam import Inner, Leaf, Node, TreeHead

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=20, many=160)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

Naive = Optional[naive_iavl.Node]
Writes = dict[bytes, Optional[bytes]]


def some_keys(rng: random.Random) -> list[bytes]:
    count = rng.choice([1, 2, 5, 30, 250])
    stem = rng.choice([b"", b"acct/", b"x" * 200])
    return sorted({stem + rng.randbytes(rng.randrange(1, 4)) for _ in range(count)} | {b"\0", b"\xff" * 511})


def some_writes(rng: random.Random, keys: list[bytes]) -> Writes:
    deletes = rng.choice([0, 0.2, 0.6, 1])
    low = rng.randrange(len(keys))
    near = keys[low : low + rng.choice([1, 4, 1000])]
    chosen = rng.choice([near, rng.sample(keys, rng.randrange(len(keys) + 1)), keys])
    return {key: None if rng.random() < deletes else rng.randbytes(rng.choice([0, 1, 40])) for key in chosen}


def applied(tree: Naive, writes: Writes, version: int) -> Naive:
    for key, value in sorted(writes.items()):
        tree = naive_iavl.remove(tree, key, version) if value is None else naive_iavl.put(tree, key, value, version)
    return tree


def check_alike(store: Store, node: Optional[Node], naive: Naive) -> None:
    """Every node, through the binary view."""
    if naive is None or node is None:
        assert node is naive is None
        return
    assert node.hash == naive.hash() and node.meta == naive.meta()
    if naive.left is None:
        assert isinstance(node, Leaf) and node.place == naive.key and node.version == naive.version - 1
        return
    assert isinstance(node, Inner) and store._tree.middle(store._nodes, node) == naive.key
    left, right = store._tree.split(store._nodes, node)
    check_alike(store, left, naive.left)
    check_alike(store, right, naive.right)


def check_version(store: Store, version: int, naive: Naive, keys: list[bytes], rng: random.Random) -> None:
    row = store.version_row(version)
    assert row.root == naive_iavl.root_of(naive)
    state = {leaf.key: leaf.value for leaf in leaves(naive)}
    assert row.keys == len(state)
    check_alike(store, store._tree.top(store._nodes, TreeHead(row.root, row.head)), naive)
    for key in rng.sample(keys, min(len(keys), 20)):
        assert store.get(key, version) == state.get(key)
        assert store.get(key[:510] + b"?", version) == state.get(key[:510] + b"?")
    for reverse in (False, True):
        start, end = rng.choice([None, rng.choice(keys)]), rng.choice([None, rng.choice(keys)])
        inside = [(k, v) for k, v in state.items() if (start is None or k >= start) and (end is None or k < end)]
        assert list(store.scan(start, end, reverse=reverse, version=version)) == sorted(inside, reverse=reverse)


def leaves(tree: Naive) -> Iterator[naive_iavl.Node]:
    return iter(()) if tree is None else tree.leaves()


@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_histories(seed: int, tmp_path) -> None:
    rng = random.Random(seed)
    keys = some_keys(rng)
    genesis = {key: rng.randbytes(3) for key in keys if rng.random() < rng.choice([0, 0.5, 1])}
    naive = applied(None, dict(genesis), 1)
    history = [naive]
    path = tmp_path / "state" if seed % 4 == 0 else None
    store = Store.create(path, tree="iavl", meta={}, genesis=rng.sample(sorted(genesis.items()), len(genesis)))
    for version in range(1, rng.choice([3, 15])):
        writes = some_writes(rng, keys)
        staged = store.stage(sorted(writes.items()))
        naive = applied(naive, writes, version + 1)
        assert staged.root == naive_iavl.root_of(naive)
        with store.overlay() as overlay:
            more = some_writes(rng, keys)
            overlay.commit(overlay.stage(sorted(more.items())), **FIELDS)
            assert overlay.root == naive_iavl.root_of(applied(history[-1], more, version + 1))
        store.commit(staged, **FIELDS)
        history.append(naive)
        if path is not None and rng.random() < 0.3:
            store.close()
            store = Store.open(path)
    for version, then in enumerate(history):
        check_version(store, version, then, keys, rng)
    store.close()


def test_one_key_after_another() -> None:
    """Every rotation on the way up and down: keys in order, backwards, and from the middle outwards."""
    keys = [b"%03d" % i for i in range(120)]
    outwards = sorted(keys, key=lambda key: abs(60 - int(key)))
    for order in (keys, keys[::-1], outwards):
        naive: Naive = None
        with Store.create(None, tree="iavl", meta={}, genesis=[]) as store:
            writes = [(key, key) for key in order] + [(key, None) for key in order[::-1][40:] + order[::-1][:40]]
            for number, (key, value) in enumerate(writes, 2):
                store.commit(store.stage([(key, value)]), **FIELDS)
                naive = applied(naive, {key: value}, number)
                assert store.root == naive_iavl.root_of(naive)
            assert store.latest.keys == 0


def test_rows_fit_half_a_page() -> None:
    """With keys as the built-in VM has them."""
    rng = random.Random(3)
    genesis = {b"acct/" + rng.randbytes(32): b"" for _ in range(3000)}
    with Store.create(None, tree="iavl", meta={}, genesis=genesis.items()) as store:
        for _ in range(3):
            some = rng.sample(sorted(genesis), 400)
            store.commit(store.stage([(key, rng.choice([None, b"1"])) for key in sorted(some)]), **FIELDS)
        with store._handle.env.begin() as txn:
            sizes = [len(key) + len(row) for key, row in txn.cursor(store._handle.tables["nodes"])]
        assert max(sizes) <= 2030 and len(sizes) < 3 * 3000
