"""The writes that the flat table does not hold yet.

A commit appends rows and leaves the flat table, whose random updates cost more than all the rest, as it is. What it
wrote is kept in memory until the table is brought up (catchup.py), and is in table `values` for whoever has no memory
of it: a state just opened, a reader beside.

    versions     .. 7   8 | 9   10          mark `flat` of a snapshot = 8
                  flat    |  lag            a reader of that snapshot needs the writes of 9 and 10

The rule that makes reading right while another process brings the table up: a lag holds all writes above the mark of
the snapshot it is read with. Those it holds besides do no harm, for they are the newest; so the mark that counts is the
one of the snapshot, never the one the table has by now.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from .._core import Writes

Changes = Sequence[tuple[bytes, "bytes | None"]]


def room(changes: Changes) -> int:
    """Bytes that the flat table may grow by: pages are two thirds full, a row has a head and a seal."""
    if isinstance(changes, Writes):  # no pair is made to be measured
        size = len(changes.blob)
    else:
        size = sum([len(key) + len(value or b"") for key, value in changes])
    return size * 3 // 2 + 50 * len(changes)


class Newest:
    """Newest writes by key, which stay as they are; None is a delete."""

    def __init__(self, values: Mapping[bytes, bytes | None]) -> None:
        self.values = values
        self._sorted: list[bytes] | None = None

    def between(self, start: bytes | None, end: bytes | None, reverse: bool) -> list[bytes]:
        """The keys with start <= key < end, in the order asked for."""
        if self._sorted is None:
            self._sorted = sorted(self.values)
        low = bisect_left(self._sorted, start or b"")
        high = len(self._sorted) if end is None else bisect_left(self._sorted, end)
        keys = self._sorted[low:high]
        return keys[::-1] if reverse else keys


class Lag:
    """Newest writes by key; None is a delete. `newest`: the highest version in it, or that of the flat table."""

    def __init__(self, flat: int) -> None:
        self.flat = flat  # versions up to here are not in it
        self._changes: list[Changes] = []  # of version flat + 1, flat + 2, ...
        self._values: dict[bytes, bytes | None] = {}
        self._rooms: list[int] = []  # of each of them
        self._merged = 0  # how many of _changes are in _values
        self._shared: Newest | None = None  # of _values, if somebody has them
        self.writes = 0  # of all versions, those to one key counted each

    @property
    def newest(self) -> int:
        return self.flat + len(self._changes)

    @property
    def versions(self) -> int:
        return len(self._changes)

    def since(self, version: int) -> tuple[int, int, int]:
        """How many versions above this one are in it, their writes, and the bytes that the flat table may grow by."""
        first = max(0, version - self.flat)
        return self.versions - first, sum(map(len, self._changes[first:])), sum(self._rooms[first:])

    @property
    def room(self) -> int:
        """Bytes that the flat table may grow by, all versions."""
        return sum(self._rooms)

    @property
    def newest_room(self) -> int:
        """Of the newest version."""
        return self._rooms[-1]

    @property
    def values(self) -> Mapping[bytes, bytes | None]:
        """Merged when first asked for: a commit does not wait for it, and what is forgotten before costs nothing."""
        if self._merged < len(self._changes):
            if self._shared is not None:
                self._values, self._shared = dict(self._values), None
            for changes in self._changes[self._merged :]:
                self._values.update(changes)
            self._merged = len(self._changes)
        return self._values

    def add(self, version: int, changes: Changes) -> None:
        assert version == self.newest + 1, "versions come one after another"
        self._changes.append(changes)
        self._rooms.append(room(changes))
        self.writes += len(changes)

    def share(self) -> Newest:
        """The values as they are now."""
        values = self.values
        if self._shared is None:
            self._shared = Newest(values)
        return self._shared

    def forget(self, flat: int) -> None:
        """Drop the versions that a snapshot with this mark holds in its flat table."""
        if flat <= self.flat:
            return
        self._changes, self._rooms = self._changes[flat - self.flat :], self._rooms[flat - self.flat :]
        self.flat = flat
        self.writes = sum(map(len, self._changes))
        self._values, self._merged, self._shared = {}, 0, None


def merged(
    values: Mapping[bytes, bytes | None], keys: Sequence[bytes], below: Iterator[tuple[bytes, bytes]], reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of `below` with those of `keys` laid over them, in key order; a value of None hides the key."""
    ours, pair = iter(keys), next(below, None)
    for key in ours:
        while pair is not None and (pair[0] > key if reverse else pair[0] < key):
            yield pair
            pair = next(below, None)
        if pair is not None and pair[0] == key:
            pair = next(below, None)
        value = values[key]
        if value is not None:
            yield key, value
    while pair is not None:
        yield pair
        pair = next(below, None)
