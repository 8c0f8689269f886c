"""Reads between the transactions of a long operation see the state as it is, and keep no page of it in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ioi_storage import Store
from ioi_storage.disk import stale

KEYS = [b"key%03d" % number for number in range(200)]


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_reads_between_the_steps_of_pruning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: Callable[..., int], where: str
) -> None:
    """In memory nothing protects the pages of an open snapshot from whoever writes."""
    monkeypatch.setattr(stale, "STEP", 50)
    with Store.create(tmp_path / "s" if where == "disk" else None, meta={}, genesis=[(key, b"0") for key in KEYS]) as store:
        for version in range(1, 20):
            commit(store, {key: b"%d" % version for key in KEYS})
        seen: list[int] = []

        def progress(rows: int) -> None:
            seen.append(rows)
            assert store.getmulti(KEYS) == [b"19"] * len(KEYS)
            assert all(store.get(key, 19) == b"19" for key in KEYS[::20])
            assert store._view._snapshot is not None

        def begin() -> object:
            assert store._view._snapshot is None, "a snapshot is open while something is written"
            return begin_writing()

        begin_writing = store._handle.begin
        monkeypatch.setattr(store._handle, "begin", begin)
        store.prune(1, progress)
        assert len(seen) > 10 and seen == sorted(seen)
        assert list(store.scan()) == [(key, b"19") for key in KEYS]
