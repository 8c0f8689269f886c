"""The name of a state is durable before anything is acknowledged that rests on it, also where the first try at that has failed."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Callable

import pytest
from ioi_storage import (
    Chunk,
    DiskFull,
    Manifest,
    Restore,
    StateExists,
    StorageIOError,
    Store,
)
from ioi_storage.disk import directory

Syncs = Callable[..., list[str]]


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    """Call it for the list that syncs of directories and files go to from now on; of those named `failing` the first fails."""
    sync = directory.sync

    def record(failing: Path | None = None) -> list[str]:
        done: list[str] = []
        left = [str(failing)]

        def recorded(path: str) -> None:
            if path in left:
                left.remove(path)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            sync(path)
            done.append(path)

        monkeypatch.setattr(directory, "sync", recorded)
        return done

    return record


def create(path: Path) -> Store:
    return Store.create(path, meta={}, genesis=[(b"key%d" % number, bytes(number)) for number in range(100)])


def snapshot(path: Path) -> tuple[Manifest, list[Chunk]]:
    with create(path) as store:
        chunks = sorted(store.snapshot(), key=lambda chunk: chunk.number)
        return store.manifest(0, len(chunks), 0), chunks


def test_a_state_whose_name_could_not_be_made_durable_is_not_there(tmp_path: Path, syncs: Syncs) -> None:
    syncs(failing=tmp_path)
    with pytest.raises(DiskFull):
        create(tmp_path / "state")
    assert os.listdir(tmp_path) == []
    create(tmp_path / "state").close()


def test_what_cannot_be_removed_durably_is_left_to_the_next_creator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = directory.sync

    def full(path: str) -> None:
        if path == str(tmp_path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        sync(path)

    monkeypatch.setattr(directory, "sync", full)
    with pytest.raises(DiskFull):
        create(tmp_path / "state")
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".state.creating-")
    monkeypatch.setattr(directory, "sync", sync)
    create(tmp_path / "state").close()
    assert os.listdir(tmp_path) == ["state"]


def test_whoever_opens_a_state_to_write_makes_its_name_durable(tmp_path: Path, syncs: Syncs) -> None:
    """Its creator may have been killed just before."""
    create(tmp_path / "state").close()
    done = syncs()
    with Store.open(tmp_path / "state", read_only=True):
        assert done == []
    with Store.open(tmp_path / "state"):
        assert done == [str(tmp_path)]
    syncs(failing=tmp_path)
    with pytest.raises(DiskFull, match="opening the state"):
        Store.open(tmp_path / "state")
    Store.open(tmp_path / "state").close()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL, errno.EROFS])
def test_below_what_cannot_be_synced_a_state_is_opened_but_none_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A directory one may write to and not read; a file system that is read-only, with a mount point for the state."""
    manifest, _ = snapshot(tmp_path / "state")
    fsync = os.fsync

    def forbidden(fd: int) -> None:
        if os.path.samestat(os.fstat(fd), os.stat(tmp_path)):
            raise OSError(number, os.strerror(number))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", forbidden)
    Store.open(tmp_path / "state").close()
    with pytest.raises(StorageIOError):
        Restore(tmp_path / "other", manifest, root=manifest.row.root)


def test_no_chunk_is_kept_before_the_directory_of_the_restore_is_durable(tmp_path: Path, syncs: Syncs) -> None:
    manifest, chunks = snapshot(tmp_path / "source")
    place = tmp_path / "place"
    place.mkdir()
    for _ in range(2):  # the second time it is there, and what made it was killed before it was durable, perhaps
        done = syncs(failing=place)
        with pytest.raises(DiskFull):
            Restore(place / "state", manifest, root=manifest.row.root)
        assert os.path.isdir(place / ".state.restoring") and done == []
    with Restore(place / "state", manifest, root=manifest.row.root) as restore:
        assert done[0] == str(place)
        restore.offer(chunks[0].number, chunks[0].data)


def test_a_restored_state_is_durable_before_its_chunks_go(tmp_path: Path, syncs: Syncs, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, chunks = snapshot(tmp_path / "source")
    place = tmp_path / "place"
    place.mkdir()
    unlink = os.unlink

    def unlinked(path: str) -> None:
        done.append("unlink")
        unlink(path)

    with Restore(place / "state", manifest, root=manifest.row.root) as restore:
        for chunk in chunks:
            restore.offer(chunk.number, chunk.data)
        done = syncs(failing=place)
        with pytest.raises(DiskFull):
            restore.finish()
        assert (place / "state" / "data.mdb").exists()
        done.clear()
        monkeypatch.setattr("ioi_storage.moving.restore.os.unlink", unlinked)
        restore.finish()
    assert done[:2] == [str(place), "unlink"]
    assert os.listdir(place) == ["state"]


def test_a_chunk_renamed_in_by_one_who_failed_is_durable_before_it_counts(tmp_path: Path, syncs: Syncs) -> None:
    manifest, chunks = snapshot(tmp_path / "source")
    kept = tmp_path / ".state.restoring"
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        syncs(failing=kept)
        with pytest.raises(DiskFull):
            restore.offer(0, chunks[0].data)
    done = syncs()
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        assert 0 not in restore.missing() and str(kept) in done


def test_a_restored_state_taken_away_again_is_restored_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left of the first restore, which died when the state was in place, does not pass for the state."""
    manifest, chunks = snapshot(tmp_path / "source")
    state = tmp_path / "state"

    def restore() -> Restore:
        return Restore(state, manifest, root=manifest.row.root)

    def died(self: Restore) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), restore() as first:
        patched.setattr(Restore, "_clear_away", died)
        for chunk in chunks:
            first.offer(chunk.number, chunk.data)
        first.finish()
    os.rename(state, tmp_path / "moved")
    Store.create(state, meta={}, genesis=[(b"other", b"")]).close()
    with pytest.raises(StateExists):
        restore()
    os.rename(state, tmp_path / "other")
    with restore() as second:
        for number in second.missing():
            second.offer(number, chunks[number].data)
        second.finish()
    with Store.open(state) as store:
        assert store.root == manifest.row.root


def test_what_others_put_beside_the_chunks_is_none(tmp_path: Path) -> None:
    manifest, chunks = snapshot(tmp_path / "source")
    Restore(tmp_path / "state", manifest, root=manifest.row.root).close()
    for name in ("chunk-000000", "chunk-0.part", "chunk-"):
        (tmp_path / ".state.restoring" / name).write_bytes(chunks[0].data)
    with Restore(tmp_path / "state", manifest, root=manifest.row.root) as restore:
        assert restore.missing() == [0]


def test_nobody_takes_for_a_leftover_what_is_about_to_be_renamed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes another one of that name waits while this one has no lock of its own any more."""
    rename, tried = os.rename, []

    def renamed(source: str, target: str) -> None:
        assert not os.path.exists(os.path.join(source, "LOCK"))
        fd = os.open(tmp_path, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)
        tried.append(target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", renamed)
    with directory.created_beside(str(tmp_path / "made"), locked=False) as (beside, files):
        Path(beside, "file").write_bytes(b"1")
    files.close()
    assert tried == [str(tmp_path / "made")] and os.listdir(tmp_path / "made") == ["file"]
