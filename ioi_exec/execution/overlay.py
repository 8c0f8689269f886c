"""The writes of the transactions so far, on top of the committed state. Too simple to be wrong: it is the reference."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Iterator, Mapping

from ioi_exec.state.ranges import merged

if TYPE_CHECKING:
    from ioi_exec.execution.executor import BaseState

WriteSet = Mapping[bytes, bytes | None]
"""The last write of every key; None is a deletion."""


class Overlay:
    """The state as the next transaction finds it."""

    def __init__(self, base: BaseState, writes: WriteSet | None = None) -> None:
        self._base = base
        self._writes: dict[bytes, bytes | None] = {}
        # The keys in order, kept only as far as a scan has asked for; sorting an almost sorted list is linear.
        self._ordered: list[bytes] = []
        self._unordered: list[bytes] = []
        if writes:
            self.apply(writes)

    def get(self, key: bytes) -> bytes | None:
        if key in self._writes:
            return self._writes[key]
        return self._base.get(key)

    def apply(self, writes: WriteSet) -> None:
        """Take the write set of a finished transaction. No scan may be under way."""
        for key, value in writes.items():
            if key not in self._writes:
                self._unordered.append(key)
            self._writes[key] = value

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        if start is not None and end is not None and start >= end:
            return iter(())
        return merged(self._scan_writes(start, end, reverse), self._base.scan(start, end, reverse), reverse)

    def batch(self) -> list[tuple[bytes, bytes | None]]:
        """The last write of every key, ascending by key."""
        return sorted(self._writes.items())

    def _scan_writes(self, start: bytes | None, end: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes | None]]:
        if self._unordered:
            self._ordered += self._unordered
            self._ordered.sort()
            self._unordered.clear()
        first = 0 if start is None else bisect_left(self._ordered, start)
        last = len(self._ordered) if end is None else bisect_left(self._ordered, end)
        for i in range(last - 1, first - 1, -1) if reverse else range(first, last):
            key = self._ordered[i]
            yield key, self._writes[key]
