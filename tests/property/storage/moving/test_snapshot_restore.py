"""Snapshot and restore: any state, cut into chunks of any size, offered in any order, is the same state afterwards.

IOI_STORAGE_SEEDS histories; the seed is the parameter."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import effort
import pytest
from ioi_storage import (
    BadChunk,
    Chunk,
    Manifest,
    Restore,
    RootMismatch,
    StateExists,
    StateInUse,
    StorageError,
    Store,
    check,
)
from ioi_storage.moving import writer
from ioi_storage.moving.chunks import Pair, Part, read_chunk
from ioi_storage.trees import jellyfish
from ioi_storage.trees.seam import _trees
from ioi_storage.trees.varint import varint

SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=8, many=40)
TREES = sorted(_trees)
FIELDS: dict[str, Any] = dict(receipts_root=b"r" * 32, height=9, header=b"header", transactions=5, failed=2)
META = {"vm": {"name": "x"}, "limits": {"n": 1}}


def commit(store: Store, writes: dict[bytes, bytes | None]) -> None:
    store.commit(store.stage(sorted(writes.items())), **FIELDS)


def some_state(rng: random.Random, tree: str, keys: int) -> Store:
    """In memory, with a history."""
    names = [b"%d" % rng.randrange(10**9) for _ in range(keys)]
    names += rng.sample([b"69235", b"95303", b"\0", b"\xff" * 511], rng.choice([0, 4]) if keys else 0)
    store = Store.create(None, tree=tree, meta=META, genesis={key: b"0" for key in names[::2]}.items())
    for _ in range(rng.randrange(4)):
        some = rng.sample(names, rng.randint(0, len(names)))
        deletes = rng.choice([0, 0.2, 1])
        commit(store, {key: None if rng.random() < deletes else rng.randbytes(rng.choice([0, 3, 200])) for key in some})
    return store


def snapshot(store: Store, version: int, chunk_bytes: int) -> tuple[Manifest, dict[int, Chunk]]:
    chunks = list(store.snapshot(version, chunk_bytes=chunk_bytes))
    assert [chunk.number for chunk in chunks] == [*range(1, len(chunks)), 0]
    assert sum(chunk.keys for chunk in chunks) == store.version_row(version).keys
    assert all(len(chunk.data) <= chunk_bytes or chunk.keys == 1 for chunk in chunks[:-1])
    manifest = store.manifest(version, len(chunks), sum(len(chunk.data) for chunk in chunks))
    assert Manifest.decode(manifest.encode()) == manifest
    return manifest, {chunk.number: chunk for chunk in chunks}


def restored(path: Path, manifest: Manifest, chunks: dict[int, Chunk], rng: random.Random) -> None:
    """Begun again and again, as by a node that is stopped often."""
    while True:
        with Restore(path, manifest, root=manifest.row.root) as restore:
            missing = restore.missing()
            for number in rng.sample(missing, rng.randint(1, len(missing)) if missing else 0):
                restore.offer(number, chunks[number].data)
                assert number not in restore.missing()
            if not restore.missing():
                assert restore.chunks == len(chunks)
                restore.finish()
                return
            with pytest.raises(StorageError, match="missing"):
                restore.finish()
        assert not (path / "data.mdb").exists()


def check_same(original: Store, path: Path, version: int) -> None:
    row = original.version_row(version)
    assert check(path, deep=True).findings == []
    pairs = dict(original.pairs(version))
    with Store.open(path) as store:
        assert store.latest._replace(head=b"") == row._replace(head=b"")
        assert (store.tree, store.meta, store.genesis_root) == (original.tree, original.meta, original.genesis_root)
        assert store.oldest == store.version == version
        assert list(store.scan()) == sorted(pairs.items())
        assert list(store.pairs()) == list(original.pairs(version))
        for key in list(pairs)[:20]:
            assert store.get(key) == store.get(key, version) == pairs[key]


def check_goes_on_alike(original: Store, path: Path, rng: random.Random) -> None:
    with Store.open(path) as store:
        for _ in range(4):
            keys = [key for key, _ in store.scan()] + [rng.randbytes(4) for _ in range(5)]
            some = rng.sample(keys, rng.randint(1, len(keys)))
            writes = {key: rng.choice([None, rng.randbytes(2)]) for key in some}
            for each in (original, store):
                commit(each, writes)
            assert store.root == original.root and store.latest.keys == original.latest.keys
        store.prune(2)
        store.rollback(store.version - 1)
    assert check(path, deep=True).findings == []


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.sampled
@pytest.mark.parametrize("seed", SEEDS)
def test_there_and_back(seed: int, tree: str, tmp_path: Path) -> None:
    rng = random.Random(seed)
    with some_state(rng, tree, rng.choice([0, 1, 2, 3, 30, 700])) as store:
        version = rng.randint(0, store.version)
        manifest, chunks = snapshot(store, version, rng.choice([1, 100, 5_000, 1 << 20]))
        assert all(len(chunk.data) < 1 << 20 for chunk in chunks.values())
        path = tmp_path / "state"
        restored(path, manifest, chunks, rng)
        assert os.listdir(tmp_path) == ["state"]
        check_same(store, path, version)
        if version == store.version:
            check_goes_on_alike(store, path, rng)


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("together", [pytest.param(1, marks=pytest.mark.long), 40, pytest.param(1000, marks=pytest.mark.long)])
def test_more_keys_than_are_rebuilt_at_once(tree: str, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jellyfish, "_REBUILT_TOGETHER", together)
    monkeypatch.setattr(writer, "_PAIRS", 300)
    rng = random.Random(1)
    genesis = {b"%d" % i: rng.randbytes(8) for i in range(5000)}
    with Store.create(tmp_path / "original", tree=tree, meta=META, genesis=genesis.items()) as store:
        commit(store, {b"%d" % i: b"changed" for i in range(0, 5000, 100)})
        manifest, chunks = snapshot(store, 1, 30_000)
        assert len(chunks) > 5
        restored(tmp_path / "state", manifest, chunks, rng)
        check_same(store, tmp_path / "state", 1)
        check_goes_on_alike(store, tmp_path / "state", rng)


@pytest.mark.parametrize("tree", TREES)
def test_the_chunks_do_not_depend_on_the_rows(tree: str) -> None:
    """The same tree, rows written by one version or by many."""
    if _trees[tree].ordered:
        pytest.skip("the tree itself depends on its history")
    keys = [b"%d" % i for i in range(500)]
    with Store.create(None, tree=tree, meta={}, genesis=[(key, b"1") for key in keys]) as one:
        with Store.create(None, tree=tree, meta={}, genesis=[]) as many:
            for at in range(0, 500, 37):
                commit(many, {key: b"1" for key in keys[at : at + 37]})
            assert list(one.snapshot(chunk_bytes=900)) == list(many.snapshot(chunk_bytes=900))


@pytest.fixture(params=TREES)
def small(request: pytest.FixtureRequest) -> tuple[Manifest, dict[int, Chunk]]:
    with some_state(random.Random(7), request.param, 40) as store:
        return snapshot(store, store.version, 300)


def test_every_changed_chunk_is_refused(small: tuple[Manifest, dict[int, Chunk]], tmp_path: Path) -> None:
    """Every byte of every chunk, with every bit flipped, left out, doubled; nothing of it stays."""
    manifest, chunks = small
    rng = random.Random(1)
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        for number, chunk in sorted(chunks.items()):
            data = chunk.data
            wrong = [data[:at] + data[at + 1 :] for at in range(len(data))]
            wrong += [data[:at] + data[at : at + 1] + data[at:] for at in range(len(data))]
            for bit in range(8):
                wrong += [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for at in range(len(data))]
            wrong += [b"", data + b"\0", data + data, b"\1", rng.randbytes(50)]
            for bad in wrong:
                if bad == data:
                    continue
                with pytest.raises(BadChunk, match=f"chunk {number} "):
                    restore.offer(number, bad)
                assert number in restore.missing()
            restore.offer(number, data)
        restore.finish()


def test_there_is_one_encoding(small: tuple[Manifest, dict[int, Chunk]], tmp_path: Path) -> None:
    """A size written longer than need be changes no hash."""
    manifest, chunks = small
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        restore.offer(0, chunks[0].data)
        parts: list[Part] = []
        read_chunk(restore._tree, chunks[1].data, manifest.row.version, top=False, each=parts.append)
        key = next(part.key for part in parts if isinstance(part, Pair))
        short = bytes([len(key)]) + key
        assert chunks[1].data.count(short) == 1
        with pytest.raises(BadChunk, match="longer than it needs to be"):
            restore.offer(1, chunks[1].data.replace(short, bytes([len(key) | 128, 0]) + key))
        with pytest.raises(BadChunk, match="cut off|longer"):
            restore.offer(1, chunks[1].data.replace(short, b"\xff" * 9 + b"\1" + key))


def test_foreign_chunks(small: tuple[Manifest, dict[int, Chunk]], tmp_path: Path) -> None:
    manifest, chunks = small
    numbers = sorted(chunks)
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        with pytest.raises(StorageError, match="chunk 0"):
            restore.offer(1, chunks[1].data)
        for number in numbers[1:]:
            with pytest.raises(BadChunk):
                restore.offer(0, chunks[number].data)
        restore.offer(0, chunks[0].data)
        for number in numbers[1:]:
            for other in numbers:
                if other != number and chunks[other].data != chunks[number].data:
                    with pytest.raises(BadChunk):
                        restore.offer(number, chunks[other].data)
        for number in (-1, len(chunks), 2**70):
            with pytest.raises(BadChunk, match="there is no chunk"):
                restore.offer(number, chunks[1].data)
        assert restore.missing() == numbers[1:]


@pytest.mark.parametrize("tree", TREES)
def test_hostile_chunks(tree: str, tmp_path: Path) -> None:
    """Deep, endless, or lying about sizes: refused, at once."""
    with some_state(random.Random(3), tree, 10) as store:
        manifest, chunks = snapshot(store, store.version, 100)
    meta = b"\2\4\2" if _trees[tree].meta_numbers else b""
    hostile = [
        b"\1" + (b"\2" + meta) * 100_000,
        b"\1" + (b"\2" + meta + b"\0") * 300,
        b"\1\3" + meta + b"\xff" * 9 + b"\1",
        b"\1\3" + meta + b"\x05abc",
        b"\1\3" + meta + b"\0\0",
        b"\1" + b"\xff" * 100,
        bytes(10),
        b"\1" * 33,
    ]
    rng = random.Random(4)
    hostile += [b"\1" + bytes(rng.choice(b"\0\1\2\2\2\3\3\4\x20") for _ in range(rng.randrange(60))) for _ in range(2000)]
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        for data in hostile:
            with pytest.raises(BadChunk):
                restore.offer(0, data)
        restore.offer(0, chunks[0].data)
        for data in hostile:
            with pytest.raises(BadChunk):
                restore.offer(1, data)
        with pytest.raises(BadChunk, match="at most"):
            restore.offer(1, bytes((64 << 20) + 1))


@pytest.mark.parametrize("tree", TREES)
def test_a_bad_chunk_is_not_unpacked(tree: str, tmp_path: Path) -> None:
    """A leaf takes a hundred times the memory of its bytes: 64 MiB of the smallest would take all there is."""
    with some_state(random.Random(3), tree, 10) as store:
        manifest, chunks = snapshot(store, store.version, 100)
    leaf = b"\3" + (b"\0\2\2" if _trees[tree].meta_numbers else b"") + b"\1k\0"
    half = leaf
    for height in range(1, 16):
        meta = bytes([2 * height]) + varint(2 << height) + b"\2" if _trees[tree].meta_numbers else b""
        half = b"\2" + meta + half + half
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        restore.offer(0, chunks[0].data)
        tracemalloc.start()
        with pytest.raises(BadChunk, match="of another state"):
            restore.offer(1, b"\1" + half)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 3 * len(half) + 50_000


def test_a_chunk_that_changes_on_the_disk(small: tuple[Manifest, dict[int, Chunk]], tmp_path: Path) -> None:
    manifest, chunks = small
    for damaged in (0, 1, len(chunks) - 1):
        with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
            restore.offer(0, chunks[0].data)
            for number in restore.missing():
                restore.offer(number, chunks[number].data)
        kept = tmp_path / ".state.restoring" / f"chunk-{damaged}"
        data = kept.read_bytes()
        kept.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
            if damaged:
                with pytest.raises(BadChunk, match=f"chunk {damaged} "):
                    restore.finish()
            assert restore.missing() == [damaged]
            restore.offer(damaged, data)
            assert restore.missing() == []
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        restore.finish()
    assert check(tmp_path / "state", deep=True).findings == []


def test_who_may_restore_where(small: tuple[Manifest, dict[int, Chunk]], tmp_path: Path) -> None:
    manifest, chunks = small
    root = manifest.row.root
    path = tmp_path / "state"
    with pytest.raises(RootMismatch):
        Restore(path, manifest, root=bytes(32))
    with pytest.raises(ValueError):
        Restore(path, manifest, root=root[:31])
    with pytest.raises(StorageError, match="does not exist"):
        Restore(tmp_path / "no" / "state", manifest, root=root)
    assert os.listdir(tmp_path) == []
    with Restore(path, manifest, root=root) as restore:
        with pytest.raises(StateInUse):
            Restore(path, manifest, root=root)
        restore.offer(0, chunks[0].data)
        restore.close()
        with pytest.raises(StorageError, match="closed"):
            restore.offer(1, chunks[1].data)
    other = Manifest(manifest.creation, manifest.row._replace(height=1), 3, 3)
    with pytest.raises(StorageError, match="another snapshot"):
        Restore(path, other, root=root)
    path.mkdir()
    (path / "file").write_text("")
    with pytest.raises(StateExists):
        Restore(path, manifest, root=root)
    (path / "file").unlink()
    restored(path, manifest, chunks, random.Random(1))  # an empty directory is nothing
    with pytest.raises(StateExists):
        Restore(path, manifest, root=root)


def test_another_snapshot_after_a_crash_at_the_very_end(
    small: tuple[Manifest, dict[int, Chunk]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is in place and its manifest gone already: who restores another one is not handed this one."""
    manifest, chunks = small
    clear_away = Restore._clear_away

    def crash(self: Restore) -> None:
        for name in os.listdir(self._directory):
            if name not in ("built", "LOCK"):
                os.unlink(os.path.join(self._directory, name))
        raise KeyboardInterrupt

    monkeypatch.setattr(Restore, "_clear_away", crash)
    with pytest.raises(KeyboardInterrupt):
        restored(tmp_path / "state", manifest, chunks, random.Random(1))
    monkeypatch.setattr(Restore, "_clear_away", clear_away)
    with some_state(random.Random(8), manifest.creation.tree, 40) as store:
        other, _ = snapshot(store, store.version, 300)
    assert other.row.root != manifest.row.root
    with pytest.raises(StorageError, match="another snapshot"):
        Restore(tmp_path / "state", other, root=other.row.root)
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        assert restore.missing() == []
        restore.finish()
    assert os.listdir(tmp_path) == ["state"]


def test_manifests_that_make_no_sense(small: tuple[Manifest, dict[int, Chunk]]) -> None:
    encoded = small[0].encode()
    fields = json.loads(encoded)
    wrong: list[bytes] = [b"", b"[]", b"{", b"[" * 100_000, b'{"ioi_snapshot": 2}', b" " * (5 << 20), b"\xff", encoded[:-3]]
    for name in fields:
        for value in (None, -1, 2**63, "zz", "00", [], True, 1.5):
            if name == "header" and value == "00":
                continue
            changed = {**fields, name: value}
            wrong.append(json.dumps(changed).encode())
        wrong.append(json.dumps({key: value for key, value in fields.items() if key != name}).encode())
    for data in wrong:
        try:
            manifest = Manifest.decode(data)
        except StorageError:
            continue
        # Text is text: which tree or what meta is for others to judge.
        assert {name for name in fields if json.loads(manifest.encode())[name] != fields[name]} <= {"tree"}


@pytest.mark.parametrize("tree", TREES)
def test_a_huge_value(tree: str, tmp_path: Path) -> None:
    with Store.create(None, tree=tree, meta={}, genesis=[(b"a", bytes(3 << 20)), (b"b", b""), (b"c", b"1")]) as store:
        manifest, chunks = snapshot(store, 0, 1000)
        restored(tmp_path / "state", manifest, chunks, random.Random(1))
        check_same(store, tmp_path / "state", 0)
    with Store.create(None, tree=tree, meta={}, genesis=[(b"a", bytes(65 << 20))]) as store:
        with pytest.raises(StorageError, match="too large"):
            list(store.snapshot())
        with pytest.raises(ValueError):
            store.snapshot(chunk_bytes=0)


@pytest.mark.parametrize("tree", TREES)
def test_memory_does_not_grow_with_the_state(tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jellyfish, "_REBUILT_TOGETHER", 500)
    monkeypatch.setattr(writer, "_PAIRS", 500)
    peaks: dict[int, list[int]] = {}
    for keys in (3_000, 18_000):
        path = tmp_path / str(keys)
        path.mkdir()
        Store.create(path / "original", tree=tree, meta={}, genesis=((b"%d" % i, b"value") for i in range(keys))).close()
        peaks[keys] = []
        with Store.open(path / "original", read_only=True) as store:
            root = store.root
            tracemalloc.start()
            for number, data, _ in store.snapshot(chunk_bytes=20_000):
                (path / str(number)).write_bytes(data)
            manifest = store.manifest(0, len(os.listdir(path)) - 1, 0)
            peaks[keys].append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
        with Restore(path / "state", manifest, root=root) as restore:
            while missing := restore.missing():
                for number in missing:
                    restore.offer(number, (path / str(number)).read_bytes())
            peaks[keys].append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
            restore.finish()
        peaks[keys].append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    for small, large in zip(*peaks.values()):
        assert large < 2 * small, peaks  # of six times the keys
