"""kill -9 at random moments of create and commit, and before every call that create makes to the system: afterwards there
is exactly one whole version, and none that was acknowledged is lost.

IOI_STORAGE_KILLS sets how many kills; failures print the seed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import effort
import pytest
from ioi_storage import StateInUse, StateMissing, Store, check
from storage_writer import batch, genesis, header
from until import until

KILLS = effort.amount("IOI_STORAGE_KILLS", sample=10, many=90)
WRITER = Path(__file__).with_name("storage_writer.py")


def run_and_kill(path: Path, seconds: float) -> int | None:
    """Lets the writer run for `seconds` and kills it; the last version it acknowledged."""
    writer = subprocess.Popen([sys.executable, WRITER, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    out, err = writer.communicate()
    assert not err, err.decode()
    acknowledged = out.split(b"\n")[:-1]
    return int(acknowledged[-1]) if acknowledged else None


class Expected:
    """The content of every version, computed once."""

    def __init__(self) -> None:
        self.models: list[dict[bytes, bytes]] = [genesis()]
        self.roots: list[bytes] = []
        self.memory = Store.create(None, meta={}, genesis=genesis().items())
        self.roots.append(self.memory.root)

    def upto(self, version: int) -> None:
        while len(self.models) <= version:
            writes = batch(len(self.models))
            staged = self.memory.stage(sorted(writes.items()))
            self.memory.commit(staged, receipts_root=bytes(32), height=0, header=b"", transactions=0, failed=0)
            self.models.append({k: v for k, v in {**self.models[-1], **writes}.items() if v is not None})
            self.roots.append(staged.root)


def check_whole(path: Path, at_least: int, expected: Expected) -> int:
    """The state at `path` is one version and every one before it; returns it."""
    patience = time.monotonic() + 2  # less than upkeep takes to see that it is alone: should that have the lock, it is found
    while True:
        try:
            store = Store.open(path)
            break
        except StateInUse:  # perhaps killed as it forked: a child has the lock until it executes another program
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)
    with store:
        version = store.version
        assert version >= at_least
        expected.upto(version)
        assert dict(store.scan()) == expected.models[version]
        assert store.latest.keys == len(expected.models[version])
        for old in range(max(0, version - 3), version + 1):
            row = store.version_row(old)
            assert (row.root, row.header, row.transactions) == (expected.roots[old], header(old), old)
            for key in random.Random(old).sample(sorted(expected.models[old]), 20):
                assert store.get(key, old) == expected.models[old][key]
        return version


@pytest.mark.sampled
def test_kills(tmp_path) -> None:
    seed = effort.seed(1)
    rng = random.Random(seed)
    print(f"seed {seed}")
    path = tmp_path / "state"
    expected = Expected()
    least, survived, latest = 0, 0, 0.4
    for _ in until(lambda: survived > 0, KILLS):
        acknowledged = run_and_kill(path, rng.uniform(0.05, latest))
        least = max(least, acknowledged or 0)
        try:
            least = check_whole(path, least, expected)
            survived += 1
        except StateMissing:
            # Killed before the rename: nothing acknowledged, nothing at the path.
            assert acknowledged is None and least == 0 and not path.exists()
            latest *= 1.3  # on a busy machine it takes longer to come to be
    assert check(path, deep=True).findings == []
    with Store.open(path):
        pass
    left = [name for name in os.listdir(tmp_path) if name != "state"]
    assert len(left) <= 1  # of the last creator that died; each creator removes its predecessors'
    expected.memory.close()


@pytest.mark.sampled
@pytest.mark.parametrize("seed", effort.seeds("IOI_STORAGE_KILLS", sample=KILLS, many=KILLS)[: max(1, KILLS // 3)])
def test_kill_during_create(tmp_path, seed: int) -> None:
    """Many creators of one path, each killed early; then one that is not."""
    rng = random.Random(seed)
    path = tmp_path / "state"
    for _ in range(3):
        acknowledged = run_and_kill(path, rng.uniform(0.1, 0.22))
        if path.exists():
            assert check_whole(path, acknowledged or 0, Expected()) >= 0
            return
        assert acknowledged is None
    with Store.create(path, meta={}, genesis=genesis().items(), header=header(0)):
        assert os.listdir(tmp_path) == ["state"]
    check_whole(path, 0, Expected())


AT_EACH_CALL = """
import os, signal, sys
path, fatal = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, sys.argv[3])
from storage_writer import genesis, header
from ioi_storage import Store
import lmdb
calls = 0

def counted(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for name in ("open", "mkdir", "rename", "fsync", "close", "listdir"):
    setattr(os, name, counted(getattr(os, name)))
lmdb.open = counted(lmdb.open)
Store.create(path, meta={}, genesis=genesis().items(), header=header(0))
print("created", flush=True)
"""


def test_kill_before_each_call_of_create(tmp_path) -> None:
    expected = Expected()
    for fatal in range(1, 100):
        path = tmp_path / "state"
        arguments = [sys.executable, "-c", AT_EACH_CALL, path, str(fatal), WRITER.parent]
        done = subprocess.run(arguments, capture_output=True, text=True)
        if path.exists():
            check_whole(path, 0, expected)
            shutil.rmtree(path)
        else:
            assert done.returncode == -signal.SIGKILL, done.stderr
        if done.returncode == 0:
            break
    assert done.stdout == "created\n" and fatal > 10
    assert os.listdir(tmp_path) == []  # the last creator removed what its predecessors left
    expected.memory.close()
