"""Key ranges: what `start`, `end` and `prefix` of a scan mean."""

from __future__ import annotations


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
