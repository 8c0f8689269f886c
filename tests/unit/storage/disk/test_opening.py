"""Opening a state: what is refused, and by what error."""

from __future__ import annotations

import errno
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import ioi_storage
import lmdb
import pytest
from ioi_storage import (
    FormatMismatch,
    StateCorrupt,
    StateInUse,
    StateMissing,
    StorageIOError,
    Store,
    UnknownTree,
)
from ioi_storage.disk import rows
from ioi_storage.disk.truncation import refuse_if_truncated
from made_states import create


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
    with lmdb.open(str(path), max_dbs=16, map_size=1 << 40, lib_version=0) as env:
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
            rows.MAGIC + struct.pack(">I", rows.FORMAT) + b'{"tree":"oak","genesis_root":"%s","meta":{}}' % (b"00" * 32),
            UnknownTree,
            "'oak'",
        ),
        *(
            (rows.MAGIC + struct.pack(">I", rows.FORMAT) + text, StateCorrupt, "creation")
            for text in (
                b'{"tree":["jellyfish"],"genesis_root":"%s","meta":{}}' % (b"00" * 32),
                b'{"tree":"jellyfish","genesis_root":"%s","meta":[]}' % (b"00" * 32),
                b'{"tree":"jellyfish","genesis_root":"00","meta":{}}',
                b"[" * 200_000,
            )
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
    assert (last_page + 1) * 4096 <= len(data)
    del data[(last_page + 1) * 4096 :]  # the reserve
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
