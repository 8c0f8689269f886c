"""Ctrl-C at every call of opening or making a state: no file is left open, and nothing of it is locked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from interrupting import everywhere, files
from ioi_storage import Store


@pytest.mark.parametrize("read_only", [False, True])
def test_opening(read_only: bool, tmp_path: Path) -> None:
    Store.create(tmp_path / "state", meta={}, genesis=[(b"a", b"1")]).close()
    before = files()

    def after(where: str) -> None:
        assert files() == before, where
        Store.open(tmp_path / "state").close()

    assert everywhere(lambda: Store.open(tmp_path / "state", read_only=read_only), after) > 20


def test_making_in_memory() -> None:
    before = files()

    def after(where: str) -> None:
        assert files() == before, where

    assert everywhere(lambda: Store.create(None, meta={}, genesis=[(b"a", b"1")]), after) > 20


def test_making(tmp_path: Path) -> None:
    before = files()

    def after(where: str) -> None:
        assert files() == before, where
        if not (tmp_path / "state").exists():
            Store.create(tmp_path / "state", meta={}, genesis=[(b"a", b"1")]).close()
        Store.open(tmp_path / "state").close()
        (tmp_path / "state").rename(tmp_path / f"done-{len(os.listdir(tmp_path))}")

    assert everywhere(lambda: Store.create(tmp_path / "state", meta={}, genesis=[(b"a", b"1")]), after) > 20
