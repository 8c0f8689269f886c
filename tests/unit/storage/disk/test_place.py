"""A state that is open is found by others through its directory's descriptor, whatever becomes of the name, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from ioi_storage import (
    StaleStage,
    StateCorrupt,
    StateMissing,
    StorageClosed,
    StorageIOError,
    Store,
    check,
)
from ioi_storage.disk import marks
from ioi_storage.disk.place import Place
from ioi_storage.latest import keeper
from ioi_storage.latest.upkeep import Upkeep

FIELDS: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=1, failed=0)


def placed(path: Path) -> Place:
    """Of a state that nobody has open; its descriptor is the caller's."""
    status = os.stat(path / "data.mdb")
    return Place(str(path), os.open(path, os.O_PATH), (status.st_dev, status.st_ino), 1 << 30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name in ("state", "other"):
        Store.create(tmp_path / name, meta={}, genesis=[(b"a", name.encode())]).close()
    return tmp_path / "state"


def swap(path: Path) -> None:
    os.rename(path, path.with_name("away"))
    os.rename(path.with_name("other"), path)


def test_it_is_opened_by_descriptor_whatever_its_path_names(path: Path) -> None:
    place = placed(path)
    swap(path)
    assert place == Place.of(place.to_json())
    env = place.open(read_only=True)
    with env.begin() as txn:
        assert b"state" in txn.get(b"a", db=env.open_db(b"flat", txn, create=False))
    env.close()
    assert {"data.mdb", "lock.mdb"} < set(os.listdir(path.with_name("away")))
    os.close(place.fd or -1)


@pytest.mark.parametrize(
    "happens, by_path, error",
    [
        (swap, True, StaleStage),
        (lambda path: os.rename(path, path.with_name("away")), True, StateMissing),
        (shutil.rmtree, True, StateMissing),
        (shutil.rmtree, False, StateMissing),
        (lambda path: os.replace(path.with_name("other") / "data.mdb", path / "data.mdb"), False, StaleStage),
        (lambda path: (path / "data.mdb").write_bytes(b"?" * 8192), False, StateCorrupt),
    ],
    ids=["another, by path", "moved, by path", "deleted, by path", "deleted", "another file", "damaged"],
)
def test_another_state_is_refused_by_the_name_the_caller_knows(
    path: Path, happens: Callable[[Path], object], by_path: bool, error: type[Exception]
) -> None:
    place = placed(path)
    happens(path)
    with pytest.raises(error) as caught:
        place._replace(fd=None if by_path else place.fd).open(read_only=False)
    assert str(path) in str(caught.value) and "/proc/" not in str(caught.value)
    os.close(place.fd or -1)


def test_upkeep_keeps_up_the_state_that_is_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "UPKEEP_WRITES", 1 << 60)  # it is asked by hand
    with Store.open(path) as store:
        store.commit(store.stage([(b"a", b"new")]), **FIELDS)
        swap(path)
        upkeep = Upkeep(store._handle.place)
        assert upkeep.ask(flat=1)
        assert upkeep._process is not None
        patience = time.monotonic() + 300
        while store._view.look(lambda snapshot: snapshot.mark(marks.FLAT)) == 0:
            assert upkeep.alive and time.monotonic() < patience, "it is at another state"
        assert upkeep.stop() is None
    assert check(path).findings == check(path.with_name("away")).findings == []


def test_upkeep_of_another_file_writes_nothing(path: Path) -> None:
    place = placed(path)
    os.replace(path.with_name("other") / "data.mdb", path / "data.mdb")
    before = (path / "data.mdb").read_bytes()
    upkeep = Upkeep(place)
    assert upkeep.ask(flat=1) and upkeep._process is not None
    upkeep._process.wait(60)
    assert isinstance(upkeep.stop(), StaleStage)
    assert (path / "data.mdb").read_bytes() == before
    os.close(place.fd or -1)


def test_a_commit_goes_on_where_the_path_may_no_longer_be_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are given up after opening: then nobody here can say what the path names."""
    looked = os.stat

    def stat(file: Any, **options: Any) -> os.stat_result:
        if file == str(path / "data.mdb"):
            raise PermissionError(errno.EACCES, "Permission denied", file)
        return looked(file, **options)

    with Store.open(path) as store:
        monkeypatch.setattr(os, "stat", stat)
        assert store.commit(store.stage([(b"a", b"new")]), **FIELDS) == 1
        monkeypatch.undo()
        assert store.get(b"a") == b"new"


def test_a_disk_that_cannot_be_looked_at_fails_the_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = os.stat

    def stat(file: Any, **options: Any) -> os.stat_result:
        if file == str(path / "data.mdb"):
            raise OSError(errno.EIO, "Input/output error", file)
        return looked(file, **options)

    with Store.open(path) as store:
        staged = store.stage([(b"a", b"new")])
        monkeypatch.setattr(os, "stat", stat)
        with pytest.raises(StorageIOError, match="looking for the state"):
            store.commit(staged, **FIELDS)


def test_whoever_got_past_the_lock_is_noticed_before_anything_is_written(path: Path) -> None:
    """One writer is what all that is remembered in memory rests on."""
    writer = (
        "import sys\nfrom ioi_storage import Store\nwith Store.open(sys.argv[1]) as store:\n"
        f"    for _ in range(2):\n        store.commit(store.stage([(b'a', b'theirs')]), **{FIELDS})\n    store.rollback(1)\n"
    )
    with Store.open(path) as store:
        store.commit(store.stage([(b"a", b"theirs")]), **FIELDS)
        store.rollback(0)  # and so to the same number, with the same root, once more
        assert store.stand.rollbacks == 1
        staged = store.stage([(b"a", b"ours")])
        (path / "LOCK").unlink()
        subprocess.run([sys.executable, "-c", writer, path], check=True)
        with pytest.raises(StaleStage, match="somebody else"):
            store.commit(staged, **FIELDS)
        with pytest.raises(StorageClosed):
            store.get(b"a")
    with Store.open(path) as store:
        assert (store.version, store.get(b"a"), store.stand.rollbacks) == (1, b"theirs", 2)
    assert check(path, deep=True).findings == []


def test_states_in_memory_are_told_apart() -> None:
    genesis = [(b"a", b"same")]
    with Store.create(None, meta={}, genesis=genesis) as one, Store.create(None, meta={}, genesis=genesis) as two:
        assert one.root == two.root and one.stand != two.stand
        assert "replaced by another" in one.stand.moved_to(two.stand)
        mixed = one._handle.place._replace(fd=two._handle.place.fd)
        with pytest.raises(StaleStage, match="descriptor"):
            mixed.open(read_only=True)
        assert one.stand == one.stand.unpacked(one.stand.packed()) and len(one.stand.packed()) == 64
