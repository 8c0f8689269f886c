"""Ctrl-C at every call of making a cache of committed values."""

from __future__ import annotations

from interrupting import everywhere, files

from ioi_exec.state.cache import CommittedCache


def test_a_cache_of_committed_values() -> None:
    before = files()

    def after(where: str) -> None:
        assert files() == before, where

    def made() -> CommittedCache:
        cache = CommittedCache(1 << 20)
        assert cache.handle is not None
        return cache

    made().close()  # imports
    assert everywhere(made, after) > 10
