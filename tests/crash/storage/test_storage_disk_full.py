"""A full disk: a clear error, the committed state as it was, and the same store goes on once there is room."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ioi_storage import DiskFull, Restore, Store, check

TREES = ["iavl", "jellyfish"]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

Pairs = dict[bytes, bytes]


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_commit_on_a_full_disk(small_disk) -> None:
    rng = random.Random(1)
    model: dict[bytes, bytes] = {b"start": b"0"}
    with Store.create(small_disk / "s", meta={}, genesis=model.items()) as store:
        filler = small_disk / "filler"
        filler.write_bytes(bytes(2 * 2**20))
        full = 0
        for _ in range(60):
            batch = {b"%d" % rng.randrange(400): rng.randbytes(800) for _ in range(100)}
            before = store.latest
            try:
                store.commit(store.stage(sorted(batch.items())), **FIELDS)
            except DiskFull as error:
                assert "make room" in str(error)
                full += 1
                assert store.latest == before and not store.closed
                assert dict(store.scan()) == model
                if full == 2:
                    filler.unlink()
                if full == 6:
                    break
            else:
                model |= batch
        assert full >= 2
        latest = store.latest
        assert latest.version > 0
    with Store.open(small_disk / "s") as store:
        assert store.latest == latest and dict(store.scan()) == model
        assert all(store.get(key, latest.version) == value for key, value in model.items())


# ---- pruning makes room ----


def fill(store: Store, model: Pairs, rng: random.Random) -> None:
    for _ in range(1000):
        batch = {b"%d" % rng.randrange(400): rng.randbytes(rng.choice([30, 30, 800, 5000])) for _ in range(60)}
        try:
            store.commit(store.stage(sorted(batch.items())), **FIELDS)
        except DiskFull:
            return
        model |= batch
    raise AssertionError("it is not full")


def full_and_pruned(path: Path, tree: str) -> None:
    """Again and again, what is pruned makes room for more commits."""
    rng, model = random.Random(3), {b"start": b"0"}
    with Store.create(path, tree=tree, meta={}, genesis=model.items()) as store:
        for _ in range(6):
            fill(store, model, rng)
            fill(store, model, rng) if rng.random() < 0.5 else None
            before = store.version
            assert not store.closed and dict(store.scan()) == model
            assert store.prune(2) > 0 and store.oldest == before - 1
            for _ in range(5):
                batch = {b"%d" % rng.randrange(400): rng.randbytes(30) for _ in range(60)}
                store.commit(store.stage(sorted(batch.items())), **FIELDS)
                model |= batch
            assert dict(store.scan()) == model
    assert check(path, deep=True).findings == []


@pytest.mark.parametrize("tree", TREES)
def test_pruning_makes_room_on_a_full_disk(small_disk: Path, tree: str) -> None:
    full_and_pruned(small_disk / "s", tree)


@pytest.mark.parametrize("tree", TREES)
def test_pruning_makes_room_where_files_may_be_no_larger(tmp_path: Path, tree: str) -> None:
    """ulimit -f, in a child, and for its upkeep process."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 2**20, 4 * 2**20))
            full_and_pruned(tmp_path / "s", tree)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_create_on_a_full_disk(small_disk) -> None:
    genesis = {b"%d" % i: bytes(1000) for i in range(5000)}
    with pytest.raises(DiskFull, match="make room"):
        Store.create(small_disk / "s", meta={}, genesis=genesis.items())
    assert os.listdir(small_disk) == []
    Store.create(small_disk / "s", meta={}, genesis=[]).close()


PAGE = 4096
FEW_PAGES = """
import os, sys
from pathlib import Path
from ioi_storage import DiskFull, Store
disk, page = Path(sys.argv[1]), int(sys.argv[2])
kept = disk / "kept"
for free in range(60):
    for what, job in (
        ("made", lambda: Store.create(disk / "state", meta={}, genesis=[(b"a", b"1")]).close()),
        ("opened", lambda: Store.open(kept).close()),
        ("read", lambda: Store.open(kept, read_only=True).close()),
    ):
        print(free, what, flush=True)
        if what != "made":
            (kept / "lock.mdb").unlink(missing_ok=True)
        with open(disk / "filler", "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, (os.statvfs(disk).f_bavail - free) * page)
        try:
            job()
        except DiskFull:
            pass
        os.unlink(disk / "filler")
        if (disk / "state").exists():
            for name in os.listdir(disk / "state"):
                os.unlink(disk / "state" / name)
            os.rmdir(disk / "state")
"""


def test_nothing_dies_of_a_disk_with_few_pages(small_disk: Path) -> None:
    """LMDB maps its lock file, and a page that cannot be had is a SIGBUS."""
    Store.create(small_disk / "kept", meta={}, genesis=[(b"a", b"1")]).close()
    done = subprocess.run([sys.executable, "-c", FEW_PAGES, str(small_disk), str(PAGE)], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stdout.splitlines()[-1:], done.stderr)


def test_restore_on_a_full_disk(small_disk) -> None:
    """While chunks come in, and while the state is built: what was kept stays, and it goes on once there is room."""
    rng = random.Random(2)
    genesis = {b"%d" % i: rng.randbytes(300) for i in range(3000)}
    with Store.create(None, meta={}, genesis=genesis.items()) as store:
        chunks = {chunk.number: chunk.data for chunk in store.snapshot(chunk_bytes=50_000)}
        manifest, root = store.manifest(0, len(chunks), 0), store.root
    filler = small_disk / "filler"
    filler.write_bytes(bytes(3 * 2**20 + 2**19))
    with Restore(small_disk / "s", manifest, root=root) as restore:
        restore.offer(0, chunks[0])
        with pytest.raises(DiskFull, match="make room"):
            for number in restore.missing():
                restore.offer(number, chunks[number])
        kept = len(chunks) - len(restore.missing())
        assert 2 < kept < len(chunks)
    with Restore(small_disk / "s", manifest, root=root) as restore:
        assert len(chunks) - len(restore.missing()) == kept
        filler.write_bytes(bytes(2 * 2**20))
        for number in restore.missing():
            restore.offer(number, chunks[number])
        for _ in range(2):
            with pytest.raises(DiskFull, match="make room"):
                restore.finish()
            assert not (small_disk / "s").exists() and restore.missing() == []
        filler.unlink()
        restore.finish()
    assert os.listdir(small_disk) == ["s"]
    assert check(small_disk / "s", deep=True).findings == []
    with Store.open(small_disk / "s") as store:
        assert store.root == root and dict(store.scan()) == genesis
