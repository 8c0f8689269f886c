"""The name of a state is durable before anything is acknowledged that rests on it, also where the first try at that has failed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Callable

import pytest

from ioi_storage import Chunk, DiskFull, Manifest, Restore, Store, directory

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


def test_in_a_directory_one_may_not_look_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "state").close()

    def forbidden(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(directory, "sync", forbidden)
    Store.open(tmp_path / "state").close()


def test_no_chunk_is_kept_before_the_directory_of_the_restore_is_durable(tmp_path: Path, syncs: Syncs) -> None:
    manifest, chunks = snapshot(tmp_path / "source")
    place = tmp_path / "place"
    place.mkdir()
    for already in (False, True):  # the second time it is there, and what made it was killed before it was durable, perhaps
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
        monkeypatch.setattr("ioi_storage.restore.os.unlink", unlinked)
        restore.finish()
    assert done[:2] == [str(place), "unlink"]
    assert os.listdir(place) == ["state"]
