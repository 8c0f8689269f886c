"""Entries that come or go for good: keys of their own, spread evenly, so that the tree grows everywhere."""

from __future__ import annotations

from ioi_exec import InputError

ENTRIES_MAX = 1 << 32


def entry(number: int) -> bytes:
    """The key of entry `number` below ENTRIES_MAX: no two are the same, for the factor is odd."""
    return b"entry/%08x" % (number * 0x9E3779B1 & ENTRIES_MAX - 1)


def check_count(workload: str, count: int) -> None:
    """Raises InputError for more entries than there are keys."""
    if count > ENTRIES_MAX:
        raise InputError(f"{workload}: {count} entries in all: there are keys for {ENTRIES_MAX}")
