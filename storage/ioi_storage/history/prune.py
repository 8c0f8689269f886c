"""Pruning: which versions are kept. Older ones can no longer be read as soon as mark `oldest` has moved; the rows that only
they needed are deleted after that (disk/stale.py)."""

from __future__ import annotations

from collections.abc import Callable

from ..disk import marks, stale
from ..latest.view import View


def next_oldest(oldest: int, version: int, keep: int, held: int | None) -> int | None:
    """What mark `oldest` becomes with this version; None: it stays. held: one that is kept, and later ones."""
    kept = version - keep + 1 if held is None else min(held, version - keep + 1)
    return None if kept <= oldest else kept


def prune(view: View, oldest: int, progress: Callable[[int], None] | None) -> int:
    """Keep this version and later ones; how many rows went. The flat table has been brought up."""
    handle = view.handle
    view.drop()
    with handle.writing("pruning"), handle.begin() as txn:
        marks.write(txn, handle.tables, marks.OLDEST, oldest)
    return view.write("pruning", stale.steps(handle.env, handle.begin, handle.tables), progress)
