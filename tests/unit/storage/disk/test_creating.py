"""Creating a state: beside its place, whole or not at all."""

from __future__ import annotations

import fcntl
import os

import pytest
from ioi_storage import (
    StateExists,
    StorageIOError,
    Store,
    UnknownTree,
)
from made_states import create


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
        ([(b"a", b""), (b"b", b""), (b"a", b"x")], ValueError, "key 61 is written twice"),
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
