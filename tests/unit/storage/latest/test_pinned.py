"""A read-only store reads one moment, whatever the writer beside does between two of its reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ioi_storage import (
    RollbackUnfinished,
    StaleStage,
    StateCorrupt,
    StorageError,
    Store,
    VersionMissing,
)
from ioi_storage.verify import verify_many

CHILD = Path(__file__).with_name("pinned_writer_child.py")
PAIRS = [(b"k%d" % i, b"old") for i in range(30)]

Beside = Callable[[str], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store.create(tmp_path / "s", meta={}, genesis=PAIRS).close()
    return tmp_path / "s"


@pytest.fixture
def beside(path: Path) -> Iterator[Beside]:
    """Has the writer carry out a command."""
    child = subprocess.Popen([sys.executable, CHILD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None

    def command(line: str) -> None:
        child.stdin.write(line + "\n")
        child.stdin.flush()
        assert child.stdout.readline()

    yield command
    child.stdin.close()
    assert child.wait(60) == 0
    child.stdout.close()


def _replace(beside: Beside) -> None:
    beside("commit new")
    beside("prune")


def _go_back_and_on(beside: Beside) -> None:
    beside("rollback 0")
    beside("commit other")


@pytest.mark.parametrize("happens", [_replace, _go_back_and_on])
def test_a_read_of_a_version_is_of_one_moment(
    path: Path, beside: Beside, happens: Callable[[Beside], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside("commit first")
    with Store.open(path, read_only=True) as store:
        looked_up = Store.version_row

        def version_row(self: Store, version: int) -> object:
            row = looked_up(self, version)
            happens(beside)  # after the version was found, before its rows are read
            return row

        monkeypatch.setattr(Store, "version_row", version_row)
        assert store.get(b"k7", 1) == b"first"
        monkeypatch.setattr(Store, "version_row", looked_up)
        now = store.version
        root = store.version_row(now).root
        monkeypatch.setattr(Store, "version_row", version_row)
        verify_many(root, "jellyfish", {b"k3": store.get(b"k3"), b"absent": None}, store.prove([b"k3", b"absent"], now))


def test_all_reads_in_a_view_are_of_one_moment(path: Path, beside: Beside) -> None:
    with Store.open(path, read_only=True) as store:
        with store.pinned():
            with store.pinned():
                assert store.version == 0
            walk = store.pairs()
            first = next(walk)
            _replace(beside)
            assert (store.version, store.oldest, store.get(b"k1")) == (0, 0, b"old")
            assert list(store.scan()) == sorted(PAIRS)
            assert sorted([first, *walk]) == sorted(PAIRS)
            proven = store.prove_range()
            assert sorted(proven.pairs) == sorted(PAIRS)
            assert [chunk.keys for chunk in store.snapshot()] == [30, 0]
            assert store.manifest(0, 2, 0).row.keys == 30
            store.diff(0, 0)
            assert (store.lagging(), store.version, store.get(b"k1")) == ({}, 0, b"old")
        assert (store.version, store.oldest, store.get(b"k1")) == (1, 1, b"new")
        with pytest.raises(VersionMissing):
            store.version_row(0)


def test_what_was_begun_in_a_view_ends_with_it(path: Path) -> None:
    with Store.open(path, read_only=True) as store:
        with store.pinned():
            begun = [store.pairs(), store.scan()]
            for pairs in begun:
                next(pairs)
        for pairs in begun:
            with pytest.raises(StaleStage, match="has been left"):
                list(pairs)
        assert store.get(b"k1") == b"old"


def test_a_writer_may_write_within_a_view(path: Path) -> None:
    with Store.open(path) as store, store.pinned(), store.overlay() as overlay, overlay.pinned():
        assert overlay.get(b"k1", 0) == b"old"
        staged = store.stage([(b"k1", b"new")])
        store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
        assert store.get(b"k1") == b"new" and store.get(b"k1", 0) == b"old"


@pytest.mark.parametrize("happens, error", [("damage", StateCorrupt), ("intend 0", RollbackUnfinished)])
def test_a_view_that_could_not_be_begun_is_asked_again_in_vain(
    path: Path, beside: Beside, happens: str, error: type[StorageError]
) -> None:
    """What an earlier view had in memory is not what is missing in this one."""
    with Store.open(path, read_only=True) as store:
        beside("commit first")
        assert store.get(b"k1") == b"first"
        beside("commit second")
        beside(happens)
        with store.pinned():
            for _ in range(2):
                with pytest.raises(error):
                    store.get(b"k1")
                with pytest.raises(error):
                    store.getmulti([b"k1"])
                with pytest.raises(error):
                    list(store.scan())
