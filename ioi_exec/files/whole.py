"""Reading what must be in memory as a whole: a device or a pipe that never ends must not take all of it."""

from __future__ import annotations

from typing import BinaryIO

from ioi_exec.errors import InputError

MOST = 1 << 30  # bytes
_PART = 1 << 20


def read_whole(stream: BinaryIO, name: str, most: int = MOST) -> bytes:
    """All that the stream has. Raises InputError where that is more than `most` bytes, OSError."""
    parts, size = [], 0
    while part := stream.read(_PART):
        parts.append(part)
        size += len(part)
        if size > most:
            raise InputError(f"{name}: more than {most:,} bytes, which is the most that is read at once, or without end: give a smaller file")
    return b"".join(parts)
