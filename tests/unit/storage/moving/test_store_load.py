"""Store.load makes what Store.create makes, out of pairs that come one by one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from ioi_storage import RootMismatch, StateExists, Store, check
from ioi_storage.moving import writer
from ioi_storage.trees import jellyfish
from ioi_storage.trees.seam import _trees

TREES = sorted(_trees)


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("count", [0, 1, 2, 500, 3000])
def test_the_same_state(tree: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PAIRS", 100)
    monkeypatch.setattr(jellyfish, "_REBUILT_TOGETHER", 300)
    rng = random.Random(count)
    pairs = {b"%d" % rng.randrange(10**9): rng.randbytes(rng.randrange(20)) for _ in range(count)}
    with Store.create(None, tree=tree, meta={"a": 1}, genesis=pairs.items(), height=4) as expected:
        shuffled = iter(rng.sample(list(pairs.items()), len(pairs)))
        with Store.load(tmp_path / "s", tree=tree, meta={"a": 1}, pairs=shuffled, height=4, root=expected.root) as store:
            assert store.latest == expected.latest
            assert (store.genesis_root, store.meta, store.oldest) == (expected.genesis_root, {"a": 1}, 0)
            assert list(store.scan()) == sorted(pairs.items())
            assert list(store.pairs()) == list(expected.pairs())
            writes = [(key, b"new") for key in sorted([*list(pairs)[::7], b"new"])]
            assert store.stage(writes).root == expected.stage(writes).root
    assert check(tmp_path / "s", deep=True).findings == []


@pytest.mark.parametrize("tree", TREES)
def test_refusals(tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PAIRS", 3)
    keys = [b"%d" % i for i in range(10)]

    def load(keys: list[bytes], root: bytes | None = None) -> None:
        Store.load(tmp_path / "s", tree=tree, meta={}, pairs=((key, b"v") for key in keys), root=root).close()

    for twice in (keys + [b"1"], keys + [b"9"], [b"7"] + keys, [b"0", b"0"]):
        with pytest.raises(ValueError, match="twice|duplicate|ascending|once"):
            load(twice)
    with pytest.raises(ValueError):
        load([b""])
    with pytest.raises(ValueError):
        load([b"k" * 512])
    with pytest.raises(RootMismatch):
        load(keys, bytes(32))

    def failing() -> Iterator[tuple[bytes, bytes]]:
        yield b"1", b""
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Store.load(tmp_path / "s", tree=tree, meta={}, pairs=failing())
    assert os.listdir(tmp_path) == []
    load(keys)
    with pytest.raises(StateExists):
        load(keys)
