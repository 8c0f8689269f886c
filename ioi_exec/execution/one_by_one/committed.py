"""The committed state in a worker process, as what executes one by one asks for it."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from operator import itemgetter
from typing import Iterator, Mapping

import ioi_storage

from ioi_exec.execution.executor import Readable


class Committed:
    """What the reader finds, and what lies over it."""

    def __init__(self, reader: Readable, over: Mapping[bytes, bytes | None]) -> None:
        self._reader = reader
        self._over = dict(over)
        self._keys = sorted(self._over)

    def apply(self, writes: list[tuple[bytes, bytes | None]]) -> None:
        """Lay the writes of a transaction over it. No scan may be under way."""
        for key, value in writes:
            if key not in self._over:
                insort(self._keys, key)
            self._over[key] = value

    def get(self, key: bytes) -> bytes | None:
        if key in self._over:
            return self._over[key]
        return self._reader.get(key) if 0 < len(key) <= ioi_storage.key_limit else None

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        first = 0 if start is None else bisect_left(self._keys, start)
        last = len(self._keys) if end is None else bisect_left(self._keys, end)
        keys = self._keys[first:last]
        over = ((key, value) for key in (reversed(keys) if reverse else keys) if (value := self._over[key]) is not None)
        below = (pair for pair in self._reader.scan(start, end, reverse) if pair[0] not in self._over)
        return heapq.merge(over, below, key=itemgetter(0), reverse=reverse)
