"""Each call to the system that something makes fails once, or from then on: a clear error, nothing lost, no commit after
an I/O error, and on a disk that was full one goes on; in the upkeep process too.

IOI_STORAGE_FAULTS=1: each call, one after another; else each so manieth."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import effort
import pytest
import shimmed
from ioi_storage import StateCorrupt, StorageClosed, StorageIOError, Store, check
from ioi_storage.disk import stale
from ioi_storage.latest import keeper

STRIDE = effort.amount("IOI_STORAGE_FAULTS", sample=17, many=3)
TREES = ["iavl", "jellyfish"]
KEYS = [b"key%03d" % number for number in range(300)]
FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)

pytestmark = pytest.mark.skipif(shimmed.library() is None, reason="needs a C compiler")


@pytest.mark.sampled
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("operation", ["create", "open", "commit", "settle", "prune", "rollback", "restore"])
def test_each_call_fails(tmp_path: Path, operation: str, tree: str) -> None:
    stride = 1 if operation in ("open", "commit") else STRIDE
    actions = ["EIO", "EIO+", "ENOSPC", "ENOSPC+", *([] if operation == "open" else ["late-EIO", "short"])]
    env = shimmed.environment(tmp_path)
    said = shimmed.run("fault_sweep.py", tmp_path, tree, operation, ",".join(actions), stride, env=env)
    print(said)
    shown = [json.loads(line) for line in said.splitlines()]
    assert [line.get("action") for line in shown] == actions
    for line in shown:
        if line["action"] != "ENOSPC" or operation not in ("settle", "prune"):  # which try again with less
            assert line["runs"] > line["errors"].get("NoneType", 0)


# ---- the upkeep process ----


def with_failed_upkeep(path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> Store:
    """A store whose upkeep has met the fault."""
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1)
    monkeypatch.setattr(keeper, "BATCH_VERSIONS", 1)
    for name, value in shimmed.environment(path.parent, fault=fault).items():
        monkeypatch.setenv(name, value)  # this process itself is without the shim
    store = Store.create(path, meta={}, genesis=[(key, b"0") for key in KEYS])
    assert store._keeper.upkeep is not None
    while not store._keeper.upkeep.failed:
        assert store.version < 3
        commit(store)
        settled(store)
    return store


def commit(store: Store) -> None:
    value = b"%d" % (store.version + 1)
    store.commit(store.stage([(key, value) for key in KEYS]), **FIELDS)


def settled(store: Store) -> None:
    """Waits until the upkeep process has done all, or has failed."""
    assert store._keeper.upkeep is not None
    for _ in range(6000):
        if store._keeper.upkeep.failed or not store.lagging():
            return
        time.sleep(0.01)
    raise AssertionError("the upkeep process does nothing")


def shows(path: Path, version: int) -> None:
    assert check(path, deep=True).findings == []
    with Store.open(path) as store:
        assert store.version == version
        assert dict(store.scan()) == {key: b"%d" % version for key in KEYS}


# Its second transaction; LMDB writes pages, syncs, writes the meta page.
@pytest.mark.parametrize("fault", ["sync:2:EIO", "sync:2:late-EIO", "write:5:EIO", "write:2+:EIO", "open:1:EIO"])
def test_no_commit_after_an_io_error_of_upkeep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    path = tmp_path / "state"
    with with_failed_upkeep(path, monkeypatch, fault) as store:
        version = store.version
        with pytest.raises(StorageIOError, match="the state at"):
            commit(store)
        with pytest.raises(StorageClosed):
            commit(store)
    monkeypatch.undo()
    shows(path, version)


@pytest.mark.parametrize("act", ["settle", "prune", "rollback"])
def test_nothing_else_is_done_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    path = tmp_path / "state"
    with with_failed_upkeep(path, monkeypatch, "sync:2:EIO") as store:
        version = store.version
        with pytest.raises(StorageIOError, match="the state at"):
            {"settle": store.settle, "prune": lambda: store.prune(1), "rollback": lambda: store.rollback(0)}[act]()
        assert store.closed
    monkeypatch.undo()
    shows(path, version)


@pytest.mark.parametrize("fault", ["write:2+:ENOSPC", "sync:2+:ENOSPC", "write:3:kill", "write:4:half-kill", "sync:2:kill"])
def test_what_upkeep_fails_to_do_the_commit_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    path = tmp_path / "state"
    with with_failed_upkeep(path, monkeypatch, fault) as store:
        monkeypatch.setattr(keeper, "UPKEEP_WRITES", 10**6)
        commit(store)
        version = store.version
        assert len(store.lagging()) == len(KEYS), "only what it wrote itself"
    monkeypatch.undo()
    shows(path, version)


def test_damage_that_upkeep_finds_is_an_error_of_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "SWEEP", 1)
    with Store.create(tmp_path / "state", meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        with store._handle.env.begin(write=True) as txn:
            txn.put(bytes(8), b"damage", db=store._handle.tables["stale"])
        store.keep = 1
        commit(store)
        assert store._keeper.upkeep is not None
        for _ in range(6000):
            if store._keeper.upkeep.failed:
                break
            time.sleep(0.01)
        for _ in range(2):
            with pytest.raises(StateCorrupt, match="stale"):
                commit(store)
        assert store.version == 1 and dict(store.scan()) == {key: b"1" for key in KEYS}
