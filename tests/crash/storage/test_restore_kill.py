"""kill -9 at any point of a restore: run again it goes on, and ends with the same state; nothing of it is seen before.

IOI_STORAGE_KILLS sets how many random kills, and from 90 on every call is one; failures print the seed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import effort
import pytest
from ioi_storage import Store, check
from ioi_storage.trees.seam import _trees

KILLS = effort.amount("IOI_STORAGE_KILLS", sample=9, many=90)
TREES = sorted(_trees)
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

RESTORE = """
import os, signal, sys
path, source, fatal = sys.argv[1], sys.argv[2], int(sys.argv[3])
import lmdb
import ioi_storage.moving.restore as module
import ioi_storage.moving.writer
module.writer = ioi_storage.moving.writer
from ioi_storage import Manifest, Restore
module.writer._PAIRS = 200  # many transactions
calls = 0

def counted(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for name in ("open", "mkdir", "rename", "fsync", "close", "listdir", "unlink", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
module.open = counted(open)
lmdb.open = counted(lmdb.open)
module.writer.commit.append = counted(module.writer.commit.append)
module.writer.catchup.write = counted(module.writer.catchup.write)

manifest = Manifest.decode(open(source + "/manifest", "rb").read())
with Restore(path, manifest, root=manifest.row.root) as restore:
    while missing := restore.missing():
        for number in missing:
            restore.offer(number, open(f"{source}/{number}", "rb").read())
            print("kept", number, flush=True)
    restore.finish()
print("restored", flush=True)
"""


@pytest.fixture(scope="module", params=TREES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[bytes, bytes]]:
    """(directory with the chunks, root, content)"""
    path = tmp_path_factory.mktemp("source")
    rng = random.Random(1)
    genesis = {b"%d" % i: rng.randbytes(30) for i in range(1500)}
    with Store.create(None, tree=request.param, meta={}, genesis=genesis.items()) as store:
        writes: dict[bytes, bytes | None] = {key: rng.choice([None, b"1"]) for key in list(genesis)[::3]}
        store.commit(store.stage(sorted(writes.items())), **FIELDS)
        chunks = list(store.snapshot(chunk_bytes=30_000))
        for chunk in chunks:
            (path / str(chunk.number)).write_bytes(chunk.data)
        (path / "manifest").write_bytes(store.manifest(1, len(chunks), 0).encode())
        return path, store.root, dict(store.scan())


def restore(path: Path, source: Path, fatal: int = 0, seconds: float | None = None) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", RESTORE, path, source, str(fatal)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if seconds is not None:
        time.sleep(seconds)
        process.kill()
    out, err = process.communicate()
    assert not err, err
    return process.returncode, out.splitlines()


def check_restored(path: Path, root: bytes, content: dict[bytes, bytes]) -> None:
    assert check(path, deep=True).findings == []
    with Store.open(path) as store:
        assert (store.root, store.version, store.oldest) == (root, 1, 1)
        assert dict(store.scan()) == content


@pytest.mark.sampled
def test_kill_before_each_call(source: tuple[Path, bytes, dict[bytes, bytes]], tmp_path: Path) -> None:
    """Each killed run is followed by one that is not: it goes on with all that was kept."""
    directory, root, content = source
    stride = max(1, 90 // KILLS)
    for fatal in range(effort.seed(1) % stride + 1, 400, stride):
        parent = tmp_path / str(fatal)
        parent.mkdir()
        path = parent / "state"
        status, lines = restore(path, directory, fatal)
        if status == 0:
            assert lines[-1] == "restored"
            break
        assert status == -signal.SIGKILL
        kept = {line for line in lines if line.startswith("kept")}
        if path.exists():
            check_restored(path, root, content)
        if fatal // stride % 2 == 0:
            if not path.exists() or (parent / ".state.restoring" / "built").exists():
                status, lines = restore(path, directory)
                assert status == 0 and lines[-1] == "restored"
                assert not kept & set(lines), "a chunk was asked for again"
            check_restored(path, root, content)
            assert {file.name for file in parent.iterdir()} <= {"state", ".state.restoring"}
            if (parent / ".state.restoring").exists():
                assert set(os.listdir(parent / ".state.restoring")) <= {"LOCK"}
    assert fatal > 40, fatal
    check_restored(path, root, content)


@pytest.mark.sampled
def test_random_kills(source: tuple[Path, bytes, dict[bytes, bytes]], tmp_path: Path) -> None:
    directory, root, content = source
    seed = effort.seed(1)
    print(f"seed {seed}")
    rng = random.Random(seed)
    path = tmp_path / "state"
    asked: list[str] = []
    for _ in range(max(1, KILLS // 3)):
        status, lines = restore(path, directory, seconds=rng.uniform(0.1, 0.6))
        assert not set(asked) & set(lines), "a chunk was asked for again"
        asked += [line for line in lines if line.startswith("kept")]
        if status == 0 or path.exists():
            break
    if not path.exists():
        restore(path, directory)
    check_restored(path, root, content)
