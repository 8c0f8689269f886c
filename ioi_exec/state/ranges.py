"""Key ranges: what `start`, `end` and `prefix` of a scan mean."""

from __future__ import annotations

import sys

from ioi_exec.arguments import integer, octets
from ioi_exec.errors import InputError


def key_range(start: bytes | None, end: bytes | None, prefix: bytes | None) -> tuple[bytes | None, bytes | None]:
    """(start, end), end exclusive, None = open. Raises InputTypeError, or InputError for a prefix beside start or end."""
    for name, value in (("start", start), ("end", end), ("prefix", prefix)):
        if value is not None:
            octets(f"scan: {name}", value)
    if prefix is None:
        return start, end
    if start is not None or end is not None:
        raise InputError("scan: give either prefix or start and end, not both")
    return prefix, prefix_end(prefix)


def prefix_end(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None if there is no such key."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def scan_limit(limit: int | None) -> int | None:
    """A checked limit. Raises InputTypeError or InputError."""
    return None if limit is None else min(integer("scan: limit", limit, 0, give="an integer, 0 or more, or None"), sys.maxsize)
