"""The store's life cycle, its errors, and what it answers."""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
import weakref

import lmdb
import pytest
from ioi_storage import (
    StaleStage,
    StateInUse,
    StateMissing,
    StorageClosed,
    StorageError,
    StorageIOError,
    Store,
    VersionMissing,
    VersionRow,
    key_limit,
)
from made_states import GENESIS, PLACEHOLDER, create


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    with create(tmp_path / "s" if request.param == "disk" else None) as store:
        yield store


# ---- create and open ----


def test_a_new_state(store) -> None:
    assert (store.version, store.tree, store.meta, store.read_only, store.closed) == (
        0,
        "jellyfish",
        {"vm": "x", "n": [1, None]},
        False,
        False,
    )
    assert store.genesis_root == store.root
    row = store.latest
    assert isinstance(row, VersionRow)
    assert row == store.version_row(0)
    assert row.receipts_root == hashlib.sha256(b"").digest()
    assert (row.height, row.header, row.transactions, row.failed, row.writes, row.keys) == (0, b"", 0, 0, 3, 3)
    assert dict(store.scan()) == GENESIS


def test_empty_genesis_has_the_placeholder_root() -> None:
    with create(None, {}) as store:
        assert store.root == PLACEHOLDER and store.get(b"a") is None and store.get(b"a", 0) is None
        assert list(store.scan()) == [] and store.latest.keys == 0


def test_everything_survives_reopening(tmp_path, commit) -> None:
    with create(tmp_path / "s", height=7, header=b"genesis") as store:
        fields = dict(receipts_root=b"r" * 32, height=2**63 - 1, header=b"h" * 3000, transactions=9, failed=4)
        assert commit(store, {b"a": None, b"d": b"4", b"zz": None}, **fields) == 1
        root = store.root
    with Store.open(tmp_path / "s") as store:
        assert (store.version, store.root, store.meta) == (1, root, {"vm": "x", "n": [1, None]})
        row = store.latest
        assert {name: getattr(row, name) for name in fields} == fields
        assert (row.writes, row.keys) == (3, 3)
        assert store.version_row(0)[:1] + store.version_row(0)[3:5] == (0, 7, b"genesis")
        assert dict(store.scan()) == {b"b": b"", b"c": b"3", b"d": b"4"}
        assert store.get(b"a", 0) == b"1" and store.get(b"a", 1) is None and store.get(b"d", 0) is None


# ---- one writer, many readers ----


READ_ONLY = """
import sys
from ioi_storage import Store, StorageError
with Store.open(sys.argv[1], read_only=True) as store:
    for line in sys.stdin:
        print(store.version, store.get(b"a"), store.latest.root.hex(), store.read_only, flush=True)
    staged = store.stage([(b"a", b"x")])
    try:
        store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
    except StorageError as error:
        print(error)
"""


def test_read_only_beside_a_writer_follows_it(tmp_path, commit) -> None:
    with create(tmp_path / "s") as store:
        child = subprocess.Popen(
            [sys.executable, "-c", READ_ONLY, tmp_path / "s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for i in range(5):
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == f"{i} {store.get(b'a')} {store.root.hex()} True\n"
            commit(store, {b"a": b"%d" % i})
        out, _ = child.communicate()
        assert "read-only" in out and child.returncode == 0
        assert store.version == 5


def test_a_fork_cannot_use_the_store(tmp_path, commit) -> None:
    with create(tmp_path / "s") as store:
        assert store.get(b"a") == b"1"  # so that the next one may be quick
        child = os.fork()
        if child == 0:
            failures = 0
            for use in (
                lambda: store.get(b"a"),
                lambda: store.version,
                lambda: list(store.scan()),
                lambda: store.stage([]),
                lambda: store.reader_spec(),
            ):
                try:
                    use()
                except StorageError as error:
                    failures += "fork" in str(error)
            store.close()  # must not give up the parent's lock or environment
            os._exit(failures)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        with pytest.raises(StateInUse):
            Store.open(tmp_path / "s")
        commit(store, {b"a": b"x"})
        assert store.get(b"a") == b"x"


def test_close_is_idempotent_and_final(store) -> None:
    scan = store.scan()
    assert next(scan) == (b"a", b"1")
    staged = store.stage([])
    assert store.get(b"a") == b"1"  # so that the next one may be quick
    store.close()
    store.close()
    assert store.closed
    for use in (
        lambda: store.get(b"a"),
        lambda: store.version,
        lambda: store.root,
        lambda: store.latest,
        lambda: store.scan(),
        lambda: next(scan),
        lambda: store.stage([]),
        lambda: store.overlay(),
        lambda: store.reader_spec(),
        lambda: store.inherit_fds(),
        lambda: store.reader_check(),
        lambda: store.commit(staged, receipts_root=bytes(32), height=0, header=b"", transactions=0, failed=0),
    ):
        with pytest.raises(StorageClosed, match="closed"):
            use()


def test_nothing_is_left_open(tmp_path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for path in (tmp_path / "s", None):
            create(path).close()
        shutil.rmtree(tmp_path / "s")
        with pytest.raises(StateMissing):
            Store.open(tmp_path / "s")
        with pytest.raises(ValueError):
            Store.create(tmp_path / "s", meta={}, genesis=[(b"", b"")])
    assert sorted(os.listdir("/proc/self/fd")) == before


# ---- staging and committing ----


def test_several_staged_on_one_parent_and_one_committed(store, commit) -> None:
    first, second, same = store.stage([(b"a", b"x")]), store.stage([(b"a", b"y")]), store.stage([(b"a", b"x")])
    assert first.root == same.root != second.root
    assert (first.version, first.parent) == (1, store.stand) and (store.stand.version, store.stand.root) == (0, store.root)
    fields = dict(receipts_root=bytes(32), height=1, header=b"", transactions=1, failed=0)
    assert store.commit(second, **fields) == 1
    assert (store.root, store.get(b"a"), store.get(b"a", 0)) == (second.root, b"y", b"1")
    for stale in (first, second, same):
        with pytest.raises(StaleStage, match="version 0"):
            store.commit(stale, **fields)
    assert store.version == 1
    with create(None) as other:
        with pytest.raises(StaleStage, match="another"):
            other.commit(store.stage([]), **fields)


def test_a_batch_that_changes_nothing_is_still_a_version(store, commit) -> None:
    root = store.root
    for writes in ({}, {b"a": b"1"}, {b"x": None}, {b"a": b"1", b"x": None}):
        commit(store, writes)
        assert store.root == root and store.latest.writes == len(writes) and store.latest.keys == 3
    assert store.version == 4
    assert [store.get(b"a", v) for v in range(5)] == [b"1"] * 5


def test_deleting_everything_and_starting_again(store, commit) -> None:
    genesis_root = store.root
    commit(store, {key: None for key in GENESIS})
    assert store.root == PLACEHOLDER and list(store.scan()) == [] and store.latest.keys == 0
    commit(store, {})
    commit(store, {b"q": None})
    assert store.root == PLACEHOLDER
    commit(store, dict(GENESIS))
    assert store.root == genesis_root
    assert [store.get(b"c", v) for v in range(5)] == [b"3", None, None, None, b"3"]


def test_commit_checks_what_it_records(store) -> None:
    staged = store.stage([(b"a", b"x")])
    good = dict(receipts_root=bytes(32), height=1, header=b"", transactions=1, failed=0)
    for bad in ({"receipts_root": b"x"}, {"height": -1}, {"transactions": 2**63}, {"failed": -1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            store.commit(staged, **{**good, **bad})
    assert store.version == 0
    assert store.commit(staged, **good) == 1


def test_a_batch_may_be_any_sequence(store) -> None:
    writes = {b"a": b"x", b"b": None, b"c": b"3"}
    root = store.stage(list(writes.items())).root
    assert store.stage(tuple(writes.items())).root == store.stage(writes.items()).root == root


def test_a_bad_batch_changes_nothing(store) -> None:
    for batch in ([(b"b", b""), (b"a", b"")], [(b"", b"")], [("a", b"")]):
        with pytest.raises((ValueError, TypeError), match="batch"):
            store.stage(batch)
    assert store.version == 0 and dict(store.scan()) == GENESIS


def test_limits_of_keys_and_big_values(store, commit) -> None:
    longest, big = b"k" * key_limit, os.urandom(3_000_001)
    commit(store, {longest: b"x", b"big": big})
    assert store.get(longest) == store.get(longest, 1) == b"x"
    assert store.get(b"big") == store.get(b"big", 1) == big
    assert dict(store.scan(b"big", b"c")) == {b"big": big}
    for key in (b"", longest + b"k"):
        for _ in range(2):
            with pytest.raises(ValueError, match="511"):
                store.get(key)
            assert store.get(b"absent") is None  # so that the next one may be quick
        with pytest.raises(ValueError, match="511"):
            store.get(key, 0)
    assert list(store.scan(longest + b"k", None)) == []
    assert [key for key, _ in store.scan(b"d", longest + b"k" * 600)] == [longest]


def test_versions_that_are_not_there(store, commit) -> None:
    for use in (lambda: store.version_row(1), lambda: store.get(b"a", 1)):
        with pytest.raises(VersionMissing, match="latest is 0"):
            use()
    for use in (lambda: store.version_row(-1), lambda: store.get(b"a", -1), lambda: store.version_row(2**64)):
        with pytest.raises(ValueError):
            use()


def test_map_may_be_another(tmp_path) -> None:
    keys = {hashlib.sha256(b"%d" % i).digest(): b"%d" % i for i in range(500)}
    seen = []

    def backwards(function, tasks):
        seen.append(len(tasks))
        return [function(task) for task in reversed(tasks)][::-1]

    with create(None, keys) as store:
        batch = sorted((key, value + b"!") for key, value in keys.items())
        assert store.stage(batch, map=backwards).root == store.stage(batch).root
        assert store.stage(batch[:1], map=backwards).root == store.stage(batch[:1]).root
    assert 16 in seen


# ---- scans ----


def test_scan_bounds(store) -> None:
    everything = [(b"a", b"1"), (b"b", b""), (b"c", b"3")]
    assert list(store.scan()) == list(store.scan(b"", None)) == everything
    assert list(store.scan(reverse=True)) == everything[::-1]
    assert list(store.scan(b"b")) == everything[1:] and list(store.scan(None, b"b")) == everything[:1]
    assert list(store.scan(b"aa", b"bb", reverse=True)) == [(b"b", b"")]
    for start, end in ((b"b", b"b"), (b"c", b"a"), (None, b""), (b"d", None), (b"", b"")):
        assert list(store.scan(start, end)) == list(store.scan(start, end, reverse=True)) == []
    assert list(store.scan(limit=2)) == everything[:2] and list(store.scan(limit=0)) == []
    with pytest.raises(ValueError, match="limit"):
        store.scan(limit=-1)


def test_a_scan_does_not_outlive_its_version(store, commit) -> None:
    scan = store.scan()
    assert next(scan) == (b"a", b"1")
    commit(store, {b"b": None})
    with pytest.raises(StaleStage, match="scan again"):
        next(scan)
    assert [key for key, _ in store.scan()] == [b"a", b"c"]


def test_reader_spec_is_json(store) -> None:
    assert json.loads(json.dumps(store.reader_spec())) == store.reader_spec()


@pytest.mark.parametrize("code", [errno.EIO, errno.EBADF])
def test_after_an_io_error_the_store_is_closed(tmp_path, commit, monkeypatch, code) -> None:
    with create(tmp_path / "s") as store:
        staged = store.stage([(b"a", b"x")])
        descriptor = next(
            int(fd) for fd in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{fd}").endswith("data.mdb")
        )
        if code == errno.EBADF:  # a real failure of the real commit: its file cannot be written to
            saved = os.dup(descriptor)
            with open(os.devnull, "rb") as null:
                os.dup2(null.fileno(), descriptor)
        else:

            def broken(*arguments):
                error = lmdb.Error("mdb_txn_commit")
                error.code = code
                raise error

            monkeypatch.setattr("ioi_storage.disk.commit.write", broken)
        try:
            with pytest.raises(StorageIOError):
                store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
        finally:
            if code == errno.EBADF:
                os.dup2(saved, descriptor)
                os.close(saved)
        assert store.closed
        with pytest.raises(StorageClosed):
            store.version
    with Store.open(tmp_path / "s") as store:
        assert store.version == 0 and store.get(b"a") == b"1"


def test_nothing_of_a_store_that_was_closed_is_kept_in_circles(store, commit) -> None:
    """Whoever opens a state again and again would hold what lagged behind in each of them, until garbage is collected."""
    gc.collect()
    gc.disable()
    try:
        commit(store, {b"k000": b"new"})
        store.prove([b"k000"])
        store.close()
        view = weakref.ref(store._view)
        del store._view, store._keeper
        assert view() is None
    finally:
        gc.enable()


def test_a_proof_keeps_nothing_of_its_store(store) -> None:
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(store)
        store.prove([b"k000"])
        store.prove_range()
        assert sys.getrefcount(store) == before
    finally:
        gc.enable()
