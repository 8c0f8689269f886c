"""What lies beside the target of a restore may have been put there by anybody: it decides nothing, and is nobody else's."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from ioi_storage import (
    Manifest,
    Restore,
    StateExists,
    StorageError,
    StorageIOError,
    Store,
    check,
)
from ioi_storage.trees.seam import _trees

GENESIS = {b"%d" % i: b"v%d" % i for i in range(40)}
OTHER = {b"%d" % i: b"forged" for i in range(40)}


@pytest.fixture(params=sorted(_trees))
def tree(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def snapshot(tree: str) -> tuple[Manifest, dict[int, bytes]]:
    with Store.create(None, tree=tree, meta={}, genesis=GENESIS.items()) as store:
        chunks = {chunk.number: chunk.data for chunk in store.snapshot(0, chunk_bytes=100)}
        return store.manifest(0, len(chunks), sum(map(len, chunks.values()))), chunks


Snapshot = tuple[Manifest, dict[int, bytes]]


def begun(path: Path, snapshot: Snapshot) -> Path:
    """The leftovers of a restore that has all chunks."""
    manifest, chunks = snapshot
    with Restore(path, manifest, root=manifest.row.root) as restore:
        for number, data in sorted(chunks.items()):
            restore.offer(number, data)
    return path.parent / f".{path.name}.restoring"


def finish(path: Path, snapshot: Snapshot) -> None:
    manifest, _ = snapshot
    with Restore(path, manifest, root=manifest.row.root) as restore:
        restore.finish()


def is_restored(path: Path) -> bool:
    with Store.open(path, read_only=True) as store:
        return dict(store.scan()) == GENESIS


def prepare(place: Path, tree: str, *, with_root_of: Manifest | None = None) -> None:
    """Another state at `place`; with_root_of: whose records say that it is that one."""
    Store.create(place, tree=tree, meta={}, genesis=OTHER.items()).close()
    if with_root_of is not None:
        import lmdb
        from ioi_storage.disk.rows import encode_creation, encode_version

        with lmdb.open(str(place), max_dbs=16) as env, env.begin(write=True) as txn:
            creation, row = encode_creation(with_root_of.creation), encode_version(with_root_of.row._replace(head=b""))
            txn.put(*creation, db=env.open_db(b"creation", txn))
            txn.put(*row, db=env.open_db(b"versions", txn))


@pytest.mark.parametrize("lies", [False, True], ids=["another root", "the records of the right one"])
def test_a_state_that_was_prepared_is_not_put_in_place(tmp_path: Path, snapshot: Snapshot, tree: str, lies: bool) -> None:
    leftovers = begun(tmp_path / "copy", snapshot)
    prepare(leftovers / "state", tree, with_root_of=snapshot[0] if lies else None)
    (leftovers / "manifest").rename(leftovers / "built")
    finish(tmp_path / "copy", snapshot)
    assert is_restored(tmp_path / "copy") and not leftovers.exists()


@pytest.mark.parametrize("lies", [False, True], ids=["another root", "the records of the right one"])
def test_a_state_that_is_in_place_already_is_not_taken_for_the_restored_one(
    tmp_path: Path, snapshot: Snapshot, tree: str, lies: bool
) -> None:
    leftovers = begun(tmp_path / "copy", snapshot)
    prepare(tmp_path / "copy", tree, with_root_of=snapshot[0] if lies else None)
    (leftovers / "manifest").rename(leftovers / "built")
    with pytest.raises(StateExists):
        finish(tmp_path / "copy", snapshot)


def test_a_state_without_chunks_is_not_put_in_place(tmp_path: Path, snapshot: Snapshot, tree: str) -> None:
    leftovers = tmp_path / ".copy.restoring"
    leftovers.mkdir(0o700)
    prepare(leftovers / "state", tree, with_root_of=snapshot[0])
    (leftovers / "built").write_bytes(snapshot[0].encode())
    with pytest.raises(StorageError, match="missing"):
        finish(tmp_path / "copy", snapshot)
    assert not (tmp_path / "copy").exists()


def test_one_that_died_when_its_state_was_in_place_is_done(tmp_path: Path, snapshot: Snapshot) -> None:
    leftovers = begun(tmp_path / "copy", snapshot)
    shutil.copytree(leftovers, tmp_path / "kept")
    finish(tmp_path / "copy", snapshot)
    (tmp_path / "kept").rename(leftovers)
    (leftovers / "manifest").rename(leftovers / "built")
    finish(tmp_path / "copy", snapshot)
    assert is_restored(tmp_path / "copy") and not leftovers.exists()


def test_leftovers_that_others_may_write_are_refused_by_name(tmp_path: Path, snapshot: Snapshot) -> None:
    leftovers = begun(tmp_path / "copy", snapshot)
    for mode in (0o770, 0o707, 0o777):
        leftovers.chmod(mode)
        with pytest.raises(StorageError, match=r"\.copy\.restoring is writable by others"):
            finish(tmp_path / "copy", snapshot)
    leftovers.chmod(0o755)
    finish(tmp_path / "copy", snapshot)
    assert is_restored(tmp_path / "copy")


def test_leftovers_of_another_user_are_refused_by_name(
    tmp_path: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftovers = begun(tmp_path / "copy", snapshot)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StorageError, match=r"\.copy\.restoring is of another user"):
        finish(tmp_path / "copy", snapshot)
    monkeypatch.undo()
    assert (leftovers / "chunk-0").exists()


def test_a_link_in_the_place_of_leftovers_is_refused(tmp_path: Path, snapshot: Snapshot) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".copy.restoring").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="no directory"):
        finish(tmp_path / "copy", snapshot)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["incoming", "LOCK", "chunk-0", "state", "manifest"])
def test_a_link_among_leftovers_is_not_followed(tmp_path: Path, snapshot: Snapshot, name: str) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    leftovers = begun(tmp_path / "copy", snapshot)
    (leftovers / name).unlink(missing_ok=True)
    (leftovers / name).symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError, match=name):
        finish(tmp_path / "copy", snapshot)
    assert (tmp_path / "precious").read_bytes() == b"precious" and not (tmp_path / "copy").exists()


def test_a_file_that_has_another_name_is_not_written_over(tmp_path: Path, snapshot: Snapshot) -> None:
    manifest, chunks = snapshot
    (tmp_path / "precious").write_bytes(b"precious")
    leftovers = tmp_path / ".copy.restoring"
    leftovers.mkdir(0o700)
    os.link(tmp_path / "precious", leftovers / "incoming")
    begun(tmp_path / "copy", snapshot)
    finish(tmp_path / "copy", snapshot)
    assert (tmp_path / "precious").read_bytes() == b"precious" and is_restored(tmp_path / "copy")


def test_a_leftover_of_create_that_is_another_users_is_left_alone(tmp_path: Path, tree: str) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / ".s.creating-link").symlink_to(tmp_path / "precious")
    (tmp_path / ".s.creating-open").mkdir()
    (tmp_path / ".s.creating-open").chmod(0o777)
    (tmp_path / ".s.creating-mine").mkdir(0o700)
    Store.create(tmp_path / "s", tree=tree, meta={}, genesis=[]).close()
    assert sorted(os.listdir(tmp_path / "precious")) == ["file"]
    assert sorted(path.name for path in tmp_path.glob(".s.*")) == [".s.creating-link", ".s.creating-open"]


def test_states_and_leftovers_are_for_their_owner_alone(tmp_path: Path, snapshot: Snapshot, tree: str) -> None:
    before = os.umask(0)
    try:
        leftovers = begun(tmp_path / "copy", snapshot)
        modes = [leftovers.stat().st_mode]
        finish(tmp_path / "copy", snapshot)
        (tmp_path / "empty").mkdir(0o777)
        Store.create(tmp_path / "empty", tree=tree, meta={}, genesis=[]).close()
        Store.load(tmp_path / "loaded", tree=tree, meta={}, pairs=[]).close()
        modes += [(tmp_path / name).stat().st_mode for name in ("copy", "empty", "loaded")]
    finally:
        os.umask(before)
    assert [stat.S_IMODE(mode) for mode in modes] == [0o700] * 4


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb", "LOCK"])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_state_whose_files_lead_elsewhere_is_not_opened(tmp_path: Path, tree: str, name: str, read_only: bool) -> None:
    Store.create(tmp_path / "s", tree=tree, meta={}, genesis=GENESIS.items()).close()
    (tmp_path / "s" / name).rename(tmp_path / "precious")
    held = (tmp_path / "precious").read_bytes()
    (tmp_path / "s" / name).symlink_to(tmp_path / "precious")
    if name == "LOCK" and read_only:
        Store.open(tmp_path / "s", read_only=True).close()  # it takes no lock
    else:
        with pytest.raises((StorageError, StorageIOError), match=f"s/{name} is no plain file"):
            Store.open(tmp_path / "s", read_only=read_only)
    assert (tmp_path / "precious").read_bytes() == held


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb"])
@pytest.mark.parametrize("read_only", [False, True])
def test_nor_one_whose_files_have_other_names_that_would_be_written(tmp_path: Path, tree: str, name: str, read_only: bool) -> None:
    Store.create(tmp_path / "s", tree=tree, meta={}, genesis=GENESIS.items()).close()
    os.link(tmp_path / "s" / name, tmp_path / "precious")
    held = (tmp_path / "precious").read_bytes()
    if name == "data.mdb" and read_only:
        Store.open(tmp_path / "s", read_only=True).close()
    else:
        with pytest.raises(StorageError, match=f"s/{name} is a file with another name"):
            Store.open(tmp_path / "s", read_only=read_only)
        if name == "lock.mdb":
            with pytest.raises(StorageError, match="another name"):
                check(tmp_path / "s")
    assert (tmp_path / "precious").read_bytes() == held
    (tmp_path / "precious").unlink()
    Store.open(tmp_path / "s", read_only=read_only).close()
