"""Talks to the programs that `programs` builds: gives them one version after another and gets back the root of each.

A version goes to the program's standard input, numbers little endian:

    kind u8 | count u32 | count times: key length u32 | value length u32 | key | value

with value length 0xFFFFFFFF and no value for a key to remove; keys ascend. Kind `v` applies it the way that can do all,
`b` the fastest way (jmt: batch_put_value_sets, which cannot delete), `c` does both and compares (jmt; nothing is deleted).
Versions begin with 0 (jmt), 1 (iavl). The answer comes on its standard output:

    root, 32 bytes | count u32 | count times nanoseconds u64

The times are those of the steps the program took, reading and answering left out. jmt: computing the root and what has to
be written, once for each way it was done; then keeping that in memory. iavl: writing to the tree and hashing it; then
saving the version.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional

Version = Iterable[tuple[bytes, Optional[bytes]]]
"""(key, value or None to remove it), ascending by key."""

_REMOVED = 0xFFFFFFFF


class Answer(NamedTuple):
    root: bytes
    seconds: tuple[float, ...]


class PeerDied(Exception):
    """Why, the program has said on standard error."""


class Peer:
    """A running program with an empty tree; a context manager."""

    def __init__(self, executable: Path, *arguments: str) -> None:
        self._name = executable.name
        self._process = subprocess.Popen([executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._out: BinaryIO = self._process.stdout  # type: ignore[assignment]

    def apply(self, version: Version, kind: str = "v") -> Answer:
        self.send(version, kind)
        return self.receive()

    def send(self, version: Version, kind: str = "v") -> None:
        """The program works on it from now on; `receive` once before sending more."""
        parts = [b""]
        for key, value in version:
            parts.append(struct.pack("<II", len(key), _REMOVED if value is None else len(value)) + key + (value or b""))
        parts[0] = struct.pack("<cI", kind.encode(), len(parts) - 1)
        try:
            self._in.write(b"".join(parts))
            self._in.flush()
        except BrokenPipeError:
            raise self._died() from None

    def receive(self) -> Answer:
        root = self._read(32)
        (count,) = struct.unpack("<I", self._read(4))
        return Answer(root, tuple(1e-9 * t for t in struct.unpack(f"<{count}Q", self._read(8 * count))))

    def _read(self, length: int) -> bytes:
        read = self._out.read(length)
        if len(read) < length:
            raise self._died()
        return read

    def _died(self) -> PeerDied:
        return PeerDied(f"{self._name} ended with exit status {self._process.wait()}")

    def close(self) -> None:
        """Ends the program, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._out.close()
        try:
            self._in.close()
        except BrokenPipeError:  # what was not sent
            pass

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
