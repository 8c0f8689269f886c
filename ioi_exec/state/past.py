"""A committed version as it was: what `machine.at(version)` returns."""

from __future__ import annotations

from typing import Iterator, Protocol, Union

from ioi_storage import RangeProof, VersionRow

from ioi_exec.block.receipt import Receipt
from ioi_exec.state.info import StateInfo

Version = Union[int, VersionRow]
"""By its number, or by what is recorded of it, which no other version of that number has."""


class Versions(Protocol):
    """What a past state reads: each version of a state. A machine is one."""

    def info_at(self, version: Version) -> StateInfo: ...

    def get(self, key: bytes, version: Version | None = None) -> bytes | None: ...

    def query(self, path: str, data: bytes = b"", *, version: Version | None = None) -> Receipt: ...

    def prove(self, *keys: bytes, version: Version | None = None) -> bytes: ...

    def prove_ics23(self, key: bytes, version: Version | None = None) -> bytes: ...

    def prove_range(
        self, start: bytes | None = None, end: bytes | None = None, *, version: Version | None = None, limit: int | None = None
    ) -> RangeProof: ...

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        version: Version | None = None,
    ) -> Iterator[tuple[bytes, bytes]]: ...


class PastState:
    """A read-only view of one version, as long as its machine is open. Raises VersionMissing once the version is pruned
    or rolled back, also where another one has its number since."""

    def __init__(self, versions: Versions, row: VersionRow) -> None:
        """Use `machine.at`. row: what is recorded of the version."""
        self._versions = versions
        self._row = row
        self.version = row.version

    @property
    def info(self) -> StateInfo:
        return self._versions.info_at(self._row)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self.info.state_root

    @property
    def height(self) -> int:
        return self.info.height

    def get(self, key: bytes) -> bytes | None:
        return self._versions.get(key, self._row)

    def query(self, path: str, data: bytes = b"") -> Receipt:
        """As `machine.query`, by the VM that made this version."""
        return self._versions.query(path, data, version=self._row)

    def prove(self, *keys: bytes) -> bytes:
        return self._versions.prove(*keys, version=self._row)

    def prove_ics23(self, key: bytes) -> bytes:
        return self._versions.prove_ics23(key, self._row)

    def prove_range(
        self, start: bytes | None = None, end: bytes | None = None, *, limit: int | None = None
    ) -> RangeProof:
        return self._versions.prove_range(start, end, version=self._row, limit=limit)

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        prefix: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `machine.scan`. On Jellyfish, which sorts by the hashes of keys, of the newest version only (InputError)."""
        return self._versions.scan(start, end, prefix=prefix, reverse=reverse, limit=limit, version=self._row)
