"""What a VM runs for the block rather than for a transaction of it."""

from __future__ import annotations

from enum import IntEnum


class Hook(IntEnum):
    """As `ioi_hook` in arena.h numbers them. The name in lower case is the VM's method."""

    NONE = 0
    END_BLOCK = 1
    """After the last transaction."""
    BEGIN_BLOCK = 2
    """Before the first."""
    MIGRATE = 3
    """Before that, in the block that a VM takes over with."""

    @property
    def method(self) -> str:
        return self.name.lower()


BEFORE = (Hook.MIGRATE, Hook.BEGIN_BLOCK)
"""Those that come before the first transaction, in order."""
