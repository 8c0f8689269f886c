"""How much memory a run takes: this process and the engine's workers together."""

from __future__ import annotations

from time import perf_counter
from typing import Iterable

from ioi_exec.footprint import memory_bytes

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
            self._last = memory_bytes((None, *workers))
            ended = perf_counter()
            self._next = ended + (ended - began) / SHARE
        return self._last
