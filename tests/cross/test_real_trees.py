"""Our trees against the real ones: the Rust crate jmt 0.12 and cosmos/iavl v1 get the same histories, and roots are equal.

Needs cargo and Go and their libraries, and skips without. IOI_CROSS_SEEDS: how many histories for each tree. A failure
names its seed, which is the test's parameter."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

import effort
import naive_iavl
import pytest
from histories import Version, history
from ioi_storage import Restore, Store
from ioi_storage.errors import UnknownTree
from ioi_storage.trees.seam import tree_named
from naive_tree import naive_root

from tools.peers.peer import Peer
from tools.peers.programs import HERE as SOURCES
from tools.peers.programs import PROGRAMS, BuildFailed, Unavailable, program

# What is compared with has to be compiled first; in make test naive trees and published vectors stand for it.
pytestmark = pytest.mark.long
SEEDS = effort.seeds("IOI_CROSS_SEEDS", sample=16, many=30)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
EMPTY = {"jellyfish": b"SPARSE_MERKLE_PLACEHOLDER_HASH__", "iavl": hashlib.sha256(b"").digest()}


@pytest.fixture(params=["jellyfish", "iavl"])
def tree(request: pytest.FixtureRequest) -> str:
    try:
        tree_named(request.param)
    except UnknownTree:
        pytest.skip(f"no tree {request.param} yet")
    return str(request.param)


@pytest.fixture
def real(tree: str, request: pytest.FixtureRequest) -> Iterator[Peer]:
    """The program around the real tree. A small cache makes iavl read its nodes back, as in a large tree."""
    if tree == "jellyfish":
        started = Peer(request.getfixturevalue("real_jmt"))
    else:
        started = Peer(request.getfixturevalue("real_iavl"), "-cache", "20")
    with started as peer:
        yield peer


# ---- the store ----


def store_roots(store: Callable[[Version], Store], versions: Iterable[Version]) -> Iterator[bytes]:
    """The root after each version; the first is the genesis."""
    versions = iter(versions)
    with store(next(versions)) as opened:
        yield opened.root
        for version in versions:
            opened.commit(opened.stage(version), **FIELDS)
            yield opened.root


def in_memory(tree: str) -> Callable[[Version], Store]:
    return lambda genesis: Store.create(None, tree=tree, meta={}, genesis=((k, v) for k, v in genesis if v is not None))


@pytest.mark.parametrize("seed", SEEDS)
def test_same_roots(seed: int, tree: str, real: Peer) -> None:
    versions = list(history(seed))
    for number, (version, root) in enumerate(zip(versions, store_roots(in_memory(tree), versions), strict=True)):
        assert root == real.apply(version).root, f"seed {seed}, version {number}, {len(version)} writes"


@pytest.mark.parametrize("seed", SEEDS[: max(3, len(SEEDS) // 10)])
def test_same_roots_whatever_happens_to_the_state(seed: int, tree: str, real: Peer, tmp_path: Path) -> None:
    """On disk, large; it is reopened, rolled back, pruned and moved meanwhile, of which the real tree hears nothing."""
    rng = random.Random(seed)
    keys = [rng.randbytes(rng.randint(1, 60)) for _ in range(6000)]
    genesis: Version = sorted({key: rng.randbytes(24) for key in keys[:4000]}.items())
    path = tmp_path / "0"
    with ExitStack() as stack:
        store = Store.create(path, tree=tree, meta={}, genesis=[(k, v) for k, v in genesis if v is not None])
        stack.callback(lambda: store.close())
        assert store.root == real.apply(genesis).root
        for number in range(1, 13):
            version = store.version
            event = rng.choice(["reopen", "rollback", "prune", "move", "nothing"])
            if event == "reopen":
                store.close()
                store = Store.open(path)
            elif event == "rollback":
                for _ in range(rng.randint(1, 3)):
                    store.commit(store.stage(some_block(rng, keys)), **FIELDS)
                store.rollback(version)
            elif event == "prune":
                store.prune(rng.randint(1, 3))
            elif event == "move":
                path = tmp_path / str(number)
                move(store, path)
                store.close()
                store = Store.open(path)
            block = some_block(rng, keys)
            store.commit(store.stage(block), **FIELDS)
            assert store.root == real.apply(block).root, f"seed {seed}, version {number} after {event}"


def some_block(rng: random.Random, keys: list[bytes]) -> Version:
    changed = rng.sample(keys, rng.choice([1, 50, 1000]))
    block: dict[bytes, Optional[bytes]] = {key: None if rng.random() < 0.3 else rng.randbytes(24) for key in changed}
    block[rng.choice(keys)] = rng.randbytes(rng.choice([0, 1 << 20]))
    return sorted(block.items())


def move(store: Store, path: Path) -> None:
    chunks = list(store.snapshot(chunk_bytes=50_000))[::-1]  # chunk 0 comes last and goes first
    manifest = store.manifest(store.version, len(chunks), sum(len(chunk.data) for chunk in chunks))
    with Restore(path, manifest, root=store.root) as restore:
        for chunk in chunks:
            restore.offer(chunk.number, chunk.data)
        restore.finish()


def test_emptied_and_begun_anew(tree: str, real: Peer) -> None:
    """What the ends of a tree's life are like, spelled out."""
    a, b = (b"a", b"1"), (b"b", b"2")
    versions: list[Version] = [
        [], [], [(b"a", None)], [a], [], [(b"b", None)], [a], [(b"a", None)], [], [a, b], [(b"a", None), (b"b", None)],
        [(b"a", None), b], [(b"b", None)], [a, b], [(b"a", None), b], [a, (b"b", None)],
    ]  # fmt: skip
    roots = list(store_roots(in_memory(tree), versions))
    assert roots == [real.apply(version).root for version in versions]
    assert [number for number, root in enumerate(roots) if root == EMPTY[tree]] == [0, 1, 2, 7, 8, 10, 12]
    assert roots[3] == roots[4] == roots[5]  # nothing was written
    assert (roots[3] == roots[6]) == (tree == "jellyfish")  # iavl: the node is of another version now


# ---- the naive trees that other tests compare with ----


@pytest.mark.parametrize("seed", SEEDS)
def test_naive_iavl_is_right(seed: int, real_iavl: Path) -> None:
    tree = None
    with Peer(real_iavl) as real:
        for number, version in enumerate(history(seed, versions=20, most_keys=300)):
            for key, value in version:
                working = number + 1
                tree = naive_iavl.remove(tree, key, working) if value is None else naive_iavl.put(tree, key, value, working)
            assert naive_iavl.root_of(tree) == real.apply(version).root, f"seed {seed}, version {number}"


@pytest.mark.parametrize("seed", SEEDS)
def test_naive_jellyfish_is_right(seed: int, real_jmt: Path) -> None:
    state: dict[bytes, bytes] = {}
    with Peer(real_jmt) as real:
        for number, version in enumerate(history(seed, versions=20, most_keys=300)):
            writes = dict(version)
            state = {key: value for key, value in {**state, **writes}.items() if value is not None}
            assert naive_root(state) == real.apply(version).root, f"seed {seed}, version {number}"


# ---- the vectors that every tree is tested against where there is no toolchain ----

SHARED = Path(__file__).parents[3] / "shared" / "reference" / "tree_vectors.json"


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
@pytest.mark.parametrize("name", ["jmt", "iavl"])
def test_real_trees_give_the_vectors(name: str, request: pytest.FixtureRequest) -> None:
    executable = request.getfixturevalue(f"real_{name}")
    vectors = json.loads(SHARED.read_text())[name]
    assert vectors
    for vector in vectors:
        with Peer(executable) as real:
            for version, root in zip(vector["batches" if name == "jmt" else "versions"], vector["roots"], strict=True):
                writes = [(bytes.fromhex(key), None if value is None else bytes.fromhex(value)) for key, value in version]
                assert real.apply(writes).root.hex() == root, vector["name"]


# ---- building them ----

TOYS = {
    "iavl": {"go.mod": "module toy\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() { %s }\n"},
    "jmt": {
        "Cargo.toml": '[package]\nname = "jmt-peer"\nversion = "0.0.0"\nedition = "2021"\n',
        "Cargo.lock": '# made by cargo\nversion = 3\n\n[[package]]\nname = "jmt-peer"\nversion = "0.0.0"\n',
        "src/main.rs": "fn main() { %s }\n",
    },
}


def toy(name: str, folder: Path, statement: str) -> Path:
    """A program without any library, of the same name."""
    for path, text in TOYS[name].items():
        folder.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(path).write_text(text.replace("%s", statement))
    return folder


@pytest.mark.parametrize("name", ["iavl", "jmt"])
def test_what_cannot_be_fetched_is_no_failure_but_what_does_not_build_is(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(f"real_{name}")  # or there is no toolchain
    monkeypatch.setattr("tools.peers.programs.cache_directory", lambda: tmp_path / "cache")

    def built() -> list[str]:
        return [path.name for path in tmp_path.joinpath("cache").glob("*")]

    offline = {"GOPROXY": "off", "GOMODCACHE": str(tmp_path / "modules")}
    offline |= {"CARGO_NET_OFFLINE": "true", "CARGO_HOME": str(tmp_path / "cargo")}
    with pytest.raises(Unavailable, match="list|fetch"):
        program(name, SOURCES / name, offline)

    unpinned = shutil.copytree(SOURCES / name, tmp_path / "unpinned")
    unpinned.joinpath("go.sum" if name == "iavl" else "Cargo.lock").unlink()
    with pytest.raises(BuildFailed, match="go.sum|lock file"):
        program(name, unpinned)

    with pytest.raises(BuildFailed, match="(?s)build.*nonsense"):
        program(name, toy(name, tmp_path / "broken", "nonsense"))
    assert built() == []

    first = program(name, toy(name, tmp_path / "right", ""))
    assert subprocess.run([first]).returncode == 0
    assert program(name, tmp_path / "right", {"PATH": ""}) == first  # nothing to be run
    assert program(name, toy(name, tmp_path / "right", "{}")) != first
    assert len(built()) == 2 and first.name in built()

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(PROGRAMS, name, PROGRAMS[name]._replace(usual_places=()))
    with pytest.raises(Unavailable, match="there is no"):
        program(name)
