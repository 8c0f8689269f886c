"""Key ranges: what `start`, `end` and `prefix` of a scan mean, and merging ordered layers of writes."""

from __future__ import annotations

from typing import Iterator


def key_range(start: bytes | None, end: bytes | None, prefix: bytes | None) -> tuple[bytes | None, bytes | None]:
    """(start, end), end exclusive, None = open. Raises TypeError, or ValueError for a prefix beside start or end."""
    for name, value in (("start", start), ("end", end), ("prefix", prefix)):
        if value is not None and not isinstance(value, bytes):
            raise TypeError(f"scan: {name} is {type(value).__name__}, not bytes")
    if prefix is None:
        return start, end
    if start is not None or end is not None:
        raise ValueError("scan: give either prefix or start and end, not both")
    return prefix, prefix_end(prefix)


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None if there is no such key."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def scan_limit(limit: int | None) -> int | None:
    """A checked limit. Raises TypeError or ValueError."""
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"scan: limit is {type(limit).__name__}, not int")
        if limit < 0:
            raise ValueError(f"scan: limit is {limit}, it must not be negative")
    return limit


def within(key: bytes, start: bytes | None, end: bytes | None) -> bool:
    return (start is None or key >= start) and (end is None or key < end)


def merged(
    top: Iterator[tuple[bytes, bytes | None]], below: Iterator[tuple[bytes, bytes]], reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Two layers in key order as one: `top` hides `below`, its None hides the key. Reads neither further than asked."""
    upper, lower = next(top, None), next(below, None)
    while upper is not None or lower is not None:
        if upper is None or (lower is not None and lower[0] != upper[0] and (lower[0] > upper[0]) == reverse):
            assert lower is not None
            yield lower
            lower = next(below, None)
            continue
        if lower is not None and lower[0] == upper[0]:
            lower = next(below, None)
        key, value = upper
        if value is not None:
            yield key, value
        upper = next(top, None)
