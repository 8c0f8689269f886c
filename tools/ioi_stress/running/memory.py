"""How much memory a run takes: this process and the engine's workers together."""

from __future__ import annotations

from time import perf_counter
from typing import Iterable

import psutil

SHARE = 0.05  # of the time that looking may take: it costs a millisecond a process


class MemoryWatch:
    """Looks now and then, so that many small blocks are not slowed down by it."""

    def __init__(self) -> None:
        self._last = 0
        self._next = 0.0

    def bytes(self, workers: Iterable[int]) -> int:
        """What it was when last looked at, which is now unless that was a moment ago."""
        began = perf_counter()
        if began >= self._next:
            self._last = memory_bytes(workers)
            ended = perf_counter()
            self._next = ended + (ended - began) / SHARE
        return self._last


def memory_bytes(workers: Iterable[int]) -> int:
    """What this process and `workers` (process ids) hold now, pages that several map counted once (PSS).

    Where the kernel does not tell: the sum of their resident sets less what is shared, plus what is shared once. Workers that
    are no more count nothing."""
    total, shared = 0, 0
    for pid in (None, *workers):
        try:
            process = psutil.Process(pid)
            try:
                total += process.memory_full_info().pss
            except psutil.AccessDenied:
                plain = process.memory_info()
                total += plain.rss - plain.shared
                shared = max(shared, plain.shared)
        except psutil.NoSuchProcess:
            continue
    return total + shared
