"""Which committed state something was read from: said by what cannot come twice, never by a version's number alone.

A version's number comes again after a rollback, and a path after a state was moved away. The data file's device and inode do
not while somebody has it open, nor does the count of rollbacks within one file; and of one file and count a version is one.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_PACKED = struct.Struct(">QQQQ32s")


class Stand(NamedTuple):
    """A committed state: `version` as it is in this data file after so many rollbacks. root: 32 bytes."""

    device: int
    inode: int
    rollbacks: int
    version: int
    root: bytes

    def packed(self) -> bytes:
        """64 bytes, for other processes."""
        return _PACKED.pack(*self)

    @classmethod
    def unpacked(cls, packed: bytes) -> Stand:
        return cls(*_PACKED.unpack(packed))

    def moved_to(self, now: Stand) -> str:
        """What became of it, for an error: `now` is another."""
        if (self.device, self.inode) != (now.device, now.inode):
            return f"the state was replaced by another, which is at version {now.version}"
        if self.rollbacks != now.rollbacks:
            return f"the state was at version {self.version} and was rolled back; now it is at version {now.version}"
        return f"the state moved on from version {self.version} to {now.version}"
