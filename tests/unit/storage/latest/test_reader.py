"""Readers in another process, beside a writer: on disk and in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ioi_storage import Store
from ioi_storage.history import rollback

CHILD = Path(__file__).with_name("storage_reader_child.py")
GENESIS = {b"k%03d" % i: b"v%d" % i for i in range(0, 400, 2)}


class Child:
    def __init__(self, store: Store) -> None:
        self.process = subprocess.Popen(
            [sys.executable, CHILD, json.dumps(store.reader_spec())],
            pass_fds=store.inherit_fds(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name: str, *arguments: Any) -> Any:
        encoded = [argument.hex() if isinstance(argument, bytes) else argument for argument in arguments]
        self.process.stdin.write(json.dumps([name, *encoded]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ok(self, name: str, *arguments: Any) -> Any:
        reply = self.ask(name, *arguments)
        assert "ok" in reply, reply
        return reply["ok"]


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    path = tmp_path / "s" if request.param == "disk" else None
    with Store.create(path, meta={}, genesis=GENESIS.items()) as store:
        yield store


@pytest.fixture
def child(store):
    child = Child(store)
    yield child
    child.process.stdin.close()
    assert child.process.wait(timeout=300) == 0
    child.process.stdout.close()


def hexed(pairs: Any) -> list[list[str]]:
    return [[key.hex(), value.hex()] for key, value in pairs]


def test_reads(child) -> None:
    assert child.ok("heavy") == []
    assert child.ok("begin") == 0
    assert child.ok("get", b"k002") == b"v2".hex() and child.ok("get", b"k003") is None
    keys = [b"a", b"k000", b"k001", b"k002", b"k398", b"z"]
    assert child.ok("getmulti", *keys) == [None if k not in GENESIS else GENESIS[k].hex() for k in keys]
    assert child.ok("getmulti") == []
    assert child.ok("scan", b"k100", b"k110", False) == hexed((k, v) for k, v in GENESIS.items() if b"k100" <= k < b"k110")
    assert child.ok("scan", None, None, True) == hexed(sorted(GENESIS.items(), reverse=True))


def test_a_transaction_sees_one_version(store, child, commit) -> None:
    assert child.ok("begin") == 0
    child.ok("end")
    commit(store, {b"k000": b"new"})
    assert child.ok("begin") == 1
    assert child.ok("get", b"k000") == b"new".hex()
    child.ok("end")
    child.ok("end")
    if store.path is not None:  # in memory nobody may read during a commit
        assert child.ok("begin") == 1
        commit(store, {b"k000": b"newer"})
        assert child.ok("get", b"k000") == b"new".hex()
        assert child.ok("begin") == 2
        assert child.ok("get", b"k000") == b"newer".hex()


def test_misuse_is_an_error(child) -> None:
    assert child.ask("get", b"a") == {"error": "StorageError", "text": "there is no read transaction: call begin first"}
    child.ok("begin")
    assert child.ask("get", b"")["error"] == child.ask("get", b"x" * 512)["error"] == "ValueError"
    assert child.ok("close") is None
    assert child.ask("begin")["error"] == "StorageClosed"


def test_a_killed_reader_is_forgotten(tmp_path) -> None:
    with Store.create(tmp_path / "s", meta={}, genesis=GENESIS.items()) as store:
        assert store.reader_check() == 0
        child = Child(store)
        assert child.ok("begin") == 0
        child.process.kill()
        child.process.wait()
        assert store.reader_check() == 1
        assert store.reader_check() == 0
        child.process.stdin.close()
        child.process.stdout.close()


def test_a_commit_forgets_readers_that_were_killed(tmp_path, commit) -> None:
    """Nobody opens the state again, and no worker dies: what the dead read would stay in use for ever."""
    with Store.create(tmp_path / "s", meta={}, genesis=GENESIS.items()) as store:
        child = Child(store)
        assert child.ok("begin") == 0
        child.process.kill()
        child.process.wait()
        commit(store, {b"k000": b"new"})
        assert store.reader_check() == 0
        child.process.stdin.close()
        child.process.stdout.close()


def test_nothing_of_a_memory_state_has_a_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.create(None, meta={}, genesis=GENESIS.items()) as store:
        assert store.path is None and len(store.inherit_fds()) == 1
        assert list(tmp_path.iterdir()) == []


def test_a_transaction_that_could_not_be_begun_is_not_read(tmp_path, commit) -> None:
    with Store.create(tmp_path / "s", meta={}, genesis=GENESIS.items()) as store:
        child = Child(store)
        assert child.ok("begin") == 0
        commit(store, {key: b"new" for key in GENESIS})
        with store._handle.env.begin(write=True) as txn, txn.cursor(store._handle.tables["values"]) as cursor:
            cursor.last()
            cursor.put(cursor.key(), cursor.value()[:-1] + b"?")
        assert "StateCorrupt" in json.dumps(child.ask("begin"))
        assert "begin" in json.dumps(child.ask("get", b"k000"))
        child.process.stdin.close()
        assert child.process.wait(timeout=300) == 0
        child.process.stdout.close()


def test_a_state_that_is_being_rolled_back_is_not_read(store, child, commit) -> None:
    commit(store, {b"k000": b"new"})
    store._view.drop()
    rollback.intend(store._handle.begin, store._handle.tables, 0)
    assert child.ask("begin")["error"] == "RollbackUnfinished"
    assert "call begin first" in child.ask("get", b"k000")["text"]
