"""Entries that come or go for good: keys of their own, spread evenly, so that the tree grows everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_exec import InputError
from ioi_stress.vm import encoding
from ioi_stress.workloads.programs import ProgramWorkload

ENTRIES_MAX = 1 << 32


def entry(number: int) -> bytes:
    """The key of entry `number` below ENTRIES_MAX: no two are the same, for the factor is odd."""
    return b"entry/%08x" % (number * 0x9E3779B1 & ENTRIES_MAX - 1)


@dataclass(frozen=True, kw_only=True)
class EntryWorkload(ProgramWorkload):
    """Each transaction has `keys` entries of its own. Raises InputError for more entries than there are keys."""

    keys: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._entries > ENTRIES_MAX:
            raise InputError(f"{self.name}: {self._entries} entries in all: there are keys for {ENTRIES_MAX}")

    @property
    def _entries(self) -> int:
        """How many there are in all."""
        return self._transactions * self.keys

    def _own(self, number: int) -> list[bytes]:
        """The entries of transaction `number`, as programs have keys."""
        return [encoding.key(entry(n)) for n in range(number * self.keys, (number + 1) * self.keys)]
