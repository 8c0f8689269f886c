"""The store's life cycle, its errors, and what it answers."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import ioi_storage
import lmdb
import pytest
from ioi_storage import (
    FormatMismatch,
    StaleStage,
    StateCorrupt,
    StateExists,
    StateInUse,
    StateMissing,
    StorageClosed,
    StorageError,
    StorageIOError,
    Store,
    UnknownTree,
    VersionMissing,
    VersionRow,
    key_limit,
)
from ioi_storage.disk import rows
from ioi_storage.disk.truncation import refuse_if_truncated

GENESIS = {b"a": b"1", b"b": b"", b"c": b"3"}
PLACEHOLDER = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"


def create(path: Path | None, genesis=GENESIS, **options) -> Store:
    return Store.create(path, meta={"vm": "x", "n": [1, None]}, genesis=genesis.items(), **options)


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


def test_create_refuses_what_is_there(tmp_path) -> None:
    create(tmp_path / "s").close()
    with pytest.raises(StateExists, match="already holds a state") as caught:
        create(tmp_path / "s")
    assert caught.value.is_state
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    for name in ("file", "full"):
        with pytest.raises(StateExists, match="empty directory") as caught:
            create(tmp_path / name)
        assert not caught.value.is_state
    with pytest.raises(StorageIOError, match="does not exist"):
        create(tmp_path / "dangling")
    with pytest.raises(StorageIOError, match="does not exist"):
        create(tmp_path / "no" / "such")
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "full", "s"]


def test_create_fills_an_empty_directory_and_follows_links(tmp_path, monkeypatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with create(tmp_path / "link") as store:
        assert store.path == str(tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    with Store.open("empty") as store:
        assert store.path == str(tmp_path / "empty")


def test_create_removes_what_a_dead_creator_left_and_nothing_else(tmp_path) -> None:
    dead = tmp_path / ".s.creating-dead"
    dead.mkdir()
    (dead / "data.mdb").write_bytes(b"half")
    (tmp_path / ".other.creating-x").mkdir()
    (tmp_path / ".s.creating-file").write_text("a user's")
    create(tmp_path / "s").close()
    assert sorted(os.listdir(tmp_path)) == [".other.creating-x", ".s.creating-file", "s"]


def test_a_living_creator_is_left_alone(tmp_path) -> None:
    alive = tmp_path / ".s.creating-alive"
    alive.mkdir()
    with open(alive / "LOCK", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        create(tmp_path / "s").close()
        assert alive.is_dir()
    (tmp_path / "s").rename(tmp_path / "first")
    create(tmp_path / "s").close()
    assert not alive.exists()


def test_of_two_creators_one_wins(tmp_path) -> None:
    def slow_genesis():
        yield b"a", b"1"
        create(tmp_path / "s").close()

    with pytest.raises(StateExists) as caught:
        Store.create(tmp_path / "s", meta={}, genesis=slow_genesis())
    assert caught.value.is_state
    assert os.listdir(tmp_path) == ["s"]


@pytest.mark.parametrize(
    ("genesis", "error", "text"),
    [
        ([(b"a", b""), (b"b", b""), (b"a", b"x")], ValueError, "b'a' is written twice"),
        ([(b"", b"")], ValueError, "1 to 511"),
        ([(b"x" * 512, b"")], ValueError, "1 to 511"),
        ([(b"a", None)], TypeError, "None"),
        ([("a", b"")], TypeError, "bytes"),
        ([b"ab", 5], TypeError, "tuples"),
        ([(b"a",)], TypeError, "tuple"),
    ],
)
def test_a_bad_genesis_leaves_nothing(tmp_path, genesis, error, text) -> None:
    with pytest.raises(error, match=text):
        Store.create(tmp_path / "s", meta={}, genesis=genesis)
    assert os.listdir(tmp_path) == []


def test_bad_arguments_of_create_leave_nothing(tmp_path) -> None:
    with pytest.raises(UnknownTree, match="'oak'.*jellyfish"):
        create(tmp_path / "s", tree="oak")
    for options in ({"height": -1}, {"height": 2**63}):
        with pytest.raises(ValueError, match="height"):
            create(tmp_path / "s", **options)
    for meta in ({"a": {1}}, {"a": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            Store.create(tmp_path / "s", meta=meta, genesis=[])
    assert os.listdir(tmp_path) == []


def test_open_refuses_what_is_no_state(tmp_path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StateMissing, match="no state"):
            Store.open(path)
    for content in (b"", b"x", b"garbage " * 4096, bytes(65536)):
        (tmp_path / "data.mdb").write_bytes(content)
        for read_only in (False, True):
            with pytest.raises(StateCorrupt):
                Store.open(tmp_path, read_only=read_only)


def test_no_permission_is_not_no_state(tmp_path, monkeypatch) -> None:
    create(tmp_path / "s").close()
    looked = os.stat

    def stat(path, *args, **kwargs):
        if str(path).endswith("data.mdb"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return looked(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    for look in (Store.open, ioi_storage.check):
        with pytest.raises(StorageIOError, match="Permission denied.*data.mdb"):
            look(tmp_path / "s")


def test_open_refuses_another_lmdb_file(tmp_path) -> None:
    with lmdb.open(str(tmp_path), lib_version=0) as env, env.begin(write=True) as txn:
        txn.put(b"a", b"b")
    with pytest.raises(StateCorrupt, match="table"):
        Store.open(tmp_path)


def edit(path: Path, table: str, change) -> None:
    """change(cursor) on a table, below the store."""
    with lmdb.open(str(path), max_dbs=8, map_size=1 << 40, lib_version=0) as env:
        with env.begin(write=True, db=env.open_db(table.encode(), create=False)) as txn, txn.cursor() as cursor:
            change(cursor)


def put_creation(body: bytes):
    return lambda cursor: cursor.put(rows.CREATION_KEY, rows.seal(rows.CREATION_KEY, body))


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (rows.MAGIC + struct.pack(">I", rows.FORMAT + 1) + b"{}", FormatMismatch, f"format {rows.FORMAT + 1}.*format {rows.FORMAT}:"),
        (b"something else entirely", StateCorrupt, "no ioi-exec state"),
        (rows.MAGIC, FormatMismatch, "format"),
        (rows.MAGIC + struct.pack(">I", rows.FORMAT) + b"{", StateCorrupt, "creation"),
        (rows.MAGIC + struct.pack(">I", rows.FORMAT) + b"[]", StateCorrupt, "creation"),
        (rows.MAGIC + struct.pack(">I", rows.FORMAT) + b'{"tree":"jellyfish","genesis_root":"x","meta":{}}', StateCorrupt, "creation"),
        (
            rows.MAGIC + struct.pack(">I", rows.FORMAT) + b'{"tree":"oak","genesis_root":"00","meta":{}}',
            UnknownTree,
            "'oak'",
        ),
    ],
)
def test_open_refuses_another_format(tmp_path, body, error, text) -> None:
    create(tmp_path / "s").close()
    edit(tmp_path / "s", "creation", put_creation(body))
    for _ in range(2):  # the failed open gave the lock back
        with pytest.raises(error, match=text):
            Store.open(tmp_path / "s")


def test_a_missing_version_row_is_corruption_not_a_missing_version(tmp_path, commit) -> None:
    with create(tmp_path / "s") as store:
        for i in range(3):
            commit(store, {b"a": b"%d" % i})
    edit(tmp_path / "s", "versions", lambda cursor: cursor.set_key(rows.u64(1)) and cursor.delete())
    with Store.open(tmp_path / "s") as store:
        with pytest.raises(StateCorrupt, match="versions"):
            store.version_row(1)
        assert store.get(b"a") == b"2" and store.get(b"a", 2) == b"1"


@pytest.mark.parametrize("key_size", [8, 9])  # the root's row; the rows below it
def test_a_whole_row_in_a_wrong_place_is_corruption(tmp_path, commit, key_size) -> None:
    """Its checksum is good; only the hashes say that it is not the row that belongs there."""
    keys = [b"%03d" % i for i in range(300)]
    with create(tmp_path / "s", {key: b"0" for key in keys}) as store:
        commit(store, {key: b"1" for key in keys})

    def swap(cursor) -> None:
        stored = dict(cursor)
        for key in stored:
            if len(key) == key_size and key.startswith(rows.u64(1)):
                cursor.put(key, stored[rows.u64(0) + key[8:]])

    edit(tmp_path / "s", "nodes", swap)
    with Store.open(tmp_path / "s") as store:
        assert store.get(b"007") == b"1" and store.get(b"007", 0) == b"0"
        with pytest.raises(StateCorrupt, match="nodes.*hash"):
            store.get(b"007", 1)
        with pytest.raises(StateCorrupt, match="nodes.*hash"):
            store.stage([(key, b"2") for key in keys])


def test_a_truncated_file_is_refused(tmp_path) -> None:
    create(tmp_path / "s", {b"%d" % i: b"x" * 50 for i in range(2000)}).close()
    whole = (tmp_path / "s" / "data.mdb").read_bytes()
    rng = random.Random(1)
    for size in [0, 1, 100, 4096, 5000, 8192, len(whole) - 4096, len(whole) - 1, *rng.sample(range(len(whole)), 30)]:
        (tmp_path / "s" / "data.mdb").write_bytes(whole[:size])
        for read_only in (False, True):
            with pytest.raises(StateCorrupt, match="truncated"):
                Store.open(tmp_path / "s", read_only=read_only)
    (tmp_path / "s" / "data.mdb").write_bytes(whole)
    Store.open(tmp_path / "s").close()


# ---- one writer, many readers ----


def test_a_file_that_grows_while_it_is_looked_at_is_whole(tmp_path, commit, monkeypatch) -> None:
    """As by a reader who opens the state at the moment of a commit."""
    with create(tmp_path / "s") as store:
        path = str(tmp_path / "s" / "data.mdb")
        measured, read = os.fstat, os.pread
        todo = 2

        def beside(call):
            def then(*arguments):
                nonlocal todo
                answer = call(*arguments)
                if todo:
                    todo -= 1
                    commit(store, {b"%d" % todo: bytes(200_000)})
                return answer

            return then

        for name, call in (("fstat", measured), ("pread", read)):
            todo = 2
            monkeypatch.setattr(os, name, beside(call))
            refuse_if_truncated(path)
            assert not todo or name == "fstat"
            monkeypatch.setattr(os, name, call)


def test_one_writer(tmp_path) -> None:
    with create(tmp_path / "s"):
        with pytest.raises(StateInUse, match="read-only"):
            Store.open(tmp_path / "s")
        script = "import sys; from ioi_storage import Store, StateInUse\ntry: Store.open(sys.argv[1])\nexcept StateInUse: print('in use')"
        done = subprocess.run([sys.executable, "-c", script, tmp_path / "s"], capture_output=True, text=True, check=True)
        assert done.stdout == "in use\n"
    Store.open(tmp_path / "s").close()


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
    assert (first.version, first.parent_version, first.parent_root) == (1, 0, store.root)
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


LIMITED = """
import resource, sys
from ioi_storage import Reader, Store
limit = 40 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with Store.create(sys.argv[1], meta={}, genesis=[(b"a", b"1")]) as store:
    store.commit(store.stage([(b"b", b"2")]), receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
    print(store.get(b"b"), store.reader_spec()["map_size"] < limit)
with Store.create(None, meta={}, genesis=[(b"a", b"1")]) as store:
    print(store.get(b"a"))
"""


def test_where_the_address_space_is_limited_the_map_is_smaller(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path / "s"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("b'2' True\nb'1'\n", "")
    with Store.open(tmp_path / "s") as store:
        assert store.version == 1


def test_a_file_short_of_pages_nobody_uses_is_whole(tmp_path, commit) -> None:
    """LMDB counts pages it took and gave back in one transaction, but need not write them: claim some more of those."""
    path = tmp_path / "s"
    with create(path, {b"%d" % i: b"x" * 50 for i in range(3000)}) as store:
        for i in range(4):
            commit(store, {b"%d" % j: None if j % 2 else b"y" * 9000 for j in range(i * 100, i * 100 + 60)})
        expected = dict(store.scan())
    data = bytearray((path / "data.mdb").read_bytes())
    newest = max((0, 4096), key=lambda at: data[at + 144 : at + 152][::-1])
    (last_page,) = struct.unpack_from("<Q", data, newest + 136)
    assert (last_page + 1) * 4096 == len(data)
    struct.pack_into("<Q", data, newest + 136, last_page + 5)
    (path / "data.mdb").write_bytes(data)
    with Store.open(path) as store:
        assert dict(store.scan()) == expected
        commit(store, {b"more": b"z" * 20000})
    with Store.open(path) as store:
        assert store.get(b"more") == b"z" * 20000 and len(store.get(b"0")) == 9000
    data[newest + 136 : newest + 144] = struct.pack("<Q", last_page + 5)
    for lost in (1, 4096, 3 * 4096, len(data) // 2, len(data) - 5 * 4096):
        (path / "data.mdb").write_bytes(data[: len(data) - lost])
        with pytest.raises(StateCorrupt, match="truncated"):
            Store.open(path)
