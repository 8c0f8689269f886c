"""Roots of penumbra's jmt 0.12: the crate's own vectors and the computed ones of reference/trees.md, as literals, and
all of ../shared/reference/tree_vectors.json where that is there."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from ioi_storage import Store

Batch = dict[bytes, "bytes | None"]

TEN: Batch = {b"key%d" % i: b"value%d" % i for i in range(10)}
THOUSAND: Batch = {struct.pack(">I", i): struct.pack(">I", i * i) for i in range(1000)}

VECTORS: list[tuple[str, list[tuple[Batch, str]]]] = [
    ("empty", [({}, b"SPARSE_MERKLE_PLACEHOLDER_HASH__".hex())]),
    (
        "hello, goodbye",
        [
            ({b"hello": b"world"}, "6b97115f56e533f2fd443f7e76e4d1ff94d34e6b2e233f2dbdf5cfd1ec39a30c"),
            ({b"goodbye": b"world"}, "e1e1e220d4b4a9611a9a09dbcee964b4a6c3a40f6f4dee265ad45cf64568790b"),
        ],
    ),
    (
        "ten keys, two deleted",
        [
            (TEN, "72ecd4069f3e90023af16490b977674cd1ae159850568195d3ccaf5a853ecebb"),
            ({b"key3": None, b"key7": None}, "f5c838f0d5464f24dc2f1eede39a98d97a29142302634207a0beee9457c7ea3f"),
        ],
    ),
    (
        "32 common bits",
        [
            ({b"69235": b"x", b"95303": b"y"}, "d2fa1ae57045961cd9fc48af1098261cf0be7a001f9b8b0984b5b6be4a0674a4"),
            ({b"95303": None}, "7373cd0302332c5aac811a87171fdf6cb61876195d1f654f945ae8f3188f7387"),
        ],
    ),
    (
        "a thousand, the even ones deleted",
        [
            (THOUSAND, "c500ae29da17b0d41e98689b5e0a5d72874957bf9734c68bb09b3c596979ded2"),
            (
                {struct.pack(">I", i): None for i in range(0, 1000, 2)},
                "d5810b1827abc635a4886758b793d180d3ed92d16ad6781290610e4af4cf1d6a",
            ),
        ],
    ),
]


@pytest.mark.parametrize(("name", "steps"), VECTORS, ids=[name for name, _ in VECTORS])
def test_literal_vectors(name, steps, commit) -> None:
    with Store.create(None, meta={}, genesis=[]) as store:
        for batch, root in steps:
            commit(store, batch)
            assert store.root.hex() == root


def test_genesis_gives_the_same_root_as_a_commit() -> None:
    with Store.create(None, meta={}, genesis=((k, v) for k, v in reversed(THOUSAND.items()) if v)) as store:
        assert store.root.hex() == "c500ae29da17b0d41e98689b5e0a5d72874957bf9734c68bb09b3c596979ded2"
        assert store.genesis_root == store.root


SHARED = Path(__file__).parents[5] / "shared" / "reference" / "tree_vectors.json"


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_shared_vectors(commit) -> None:
    vectors = json.loads(SHARED.read_text())["jmt"]
    assert vectors
    for vector in vectors:
        with Store.create(None, meta={}, genesis=[]) as store:
            for batch, root in zip(vector["batches"], vector["roots"], strict=True):
                commit(store, {bytes.fromhex(k): None if v is None else bytes.fromhex(v) for k, v in batch})
                assert store.root.hex() == root, vector["name"]
