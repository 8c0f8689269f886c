"""Roots of the IAVL tree against known ones: computed by hand for two leaves, and those of ../shared/reference/tree_vectors.json
where that is there. Versions of cosmos/iavl begin with 1, ours with 0: the first batch is the genesis."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from ioi_storage import Store

SHARED = Path(__file__).parents[5] / "shared" / "reference" / "tree_vectors.json"


def leaf(version: int, key: bytes, value: bytes) -> bytes:
    meta = bytes([0, 2, 2 * version])
    return sha256(meta + bytes([len(key)]) + key + b"\x20" + sha256(value).digest()).digest()


def test_by_hand(commit) -> None:
    with Store.create(None, tree="iavl", meta={}, genesis=[]) as store:
        assert store.root == sha256(b"").digest()
        commit(store, {b"b": b"2"})
        assert store.root == leaf(2, b"b", b"2")
        commit(store, {b"a": b"1"})
        both = bytes([2, 4, 6]) + b"\x20" + leaf(3, b"a", b"1") + b"\x20" + leaf(2, b"b", b"2")
        assert store.root == sha256(both).digest()
        commit(store, {b"b": b"2"})  # an equal value is written again
        again = bytes([2, 4, 8]) + b"\x20" + leaf(3, b"a", b"1") + b"\x20" + leaf(4, b"b", b"2")
        assert store.root == sha256(again).digest()
        commit(store, {b"absent": None})
        assert store.root == sha256(again).digest() and store.version == 4
        commit(store, {b"a": None})
        assert store.root == leaf(4, b"b", b"2")
        commit(store, {b"b": None})
        assert store.root == sha256(b"").digest()


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_shared_vectors(commit) -> None:
    vectors = json.loads(SHARED.read_text())["iavl"]
    assert vectors
    tried = 0
    for vector in vectors:
        versions = [[(bytes.fromhex(k), None if v is None else bytes.fromhex(v)) for k, v in batch] for batch in vector["versions"]]
        if any(batch != sorted(batch) for batch in versions):
            continue  # the shape depends on the order, and ours is ascending
        tried += 1
        with Store.create(None, tree="iavl", meta={}, genesis=versions[0]) as store:
            roots = [store.root.hex()]
            for batch in versions[1:]:
                commit(store, dict(batch))
                roots.append(store.root.hex())
            assert roots == vector["roots"], vector["name"]
    assert tried >= 4
