"""The memory under a cache of committed values: a memfd that this process writes to and workers can only read.

Once it is mapped here it is sealed (F_SEAL_FUTURE_WRITE): nobody maps it writable any more, so what becomes of a worker is
nothing to it. Its pages are reserved as they are needed, as an arena's are; where there are none to be had it stays as it is.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable

from ioi_shm._core import ARENA_MAX, Arena, Cache
from ioi_shm.memory import SEED, STEP_BYTES, free_memory, memory_file

_F_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; not every Python has a name for it


class SharedCache:
    """A fresh cache of at most `most` bytes, CACHE_LEAST or more, in a memfd that create(name, flags) makes and whose owner closes.
    OSError if it cannot be made.

    fd, size: what a worker needs to map it."""

    def __init__(self, most: int, create: Callable[[str, int], int]) -> None:
        self.fd = memory_file("ioi-cache", "the cache is shared with workers: allow it", create)
        self.size = min(most, ARENA_MAX)
        os.ftruncate(self.fd, -(-self.size // mmap.PAGESIZE) * mmap.PAGESIZE)
        first = min(self.size, mmap.PAGESIZE)
        os.posix_fallocate(self.fd, 0, first)
        self.cache = Cache(self.fd, self.size, first, SEED)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        try:
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals | _F_SEAL_FUTURE_WRITE)
        except OSError:  # an older kernel: workers map it read-only of their own will alone
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)

    def write(self, blob: bytes, ends: bytes, version: int, flat: int) -> list[tuple[bytes, bytes | None]]:
        """Keep what a version wrote, packed (seal.h); those for which there was no room. See cache.h."""
        refused: list[tuple[bytes, bytes | None]] = []
        at, count = 0, len(ends) // 16
        while (at := self.cache.write(blob, ends, at, version, flat, refused)) < count:
            self._reserve()
        return refused

    def promote(self, arena: Arena, flat: int) -> None:
        """Keep what the workers of a block fetched, as far as there is room."""
        while not self.cache.promote(arena, flat):
            self._reserve()

    def _reserve(self) -> None:
        """More pages; where there are none, what is reserved is all there will be."""
        cache = self.cache
        more = min(max(STEP_BYTES, cache.reserved // 4), cache.size - cache.reserved)
        try:
            if more > free_memory():
                raise OSError
            os.posix_fallocate(self.fd, cache.reserved, more)
        except OSError:
            cache.limit(cache.reserved, cache.reserved)
            return
        cache.limit(cache.size, cache.reserved + more)
