"""A committed version as it was: what `machine.at(version)` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ioi_storage import RangeProof

from ioi_exec.info import StateInfo

if TYPE_CHECKING:
    from ioi_exec.machine import ExecutionMachine


class PastState:
    """A read-only view of one version, as long as its machine is open. Raises VersionMissing once the version is pruned
    or rolled back."""

    def __init__(self, machine: ExecutionMachine, version: int) -> None:
        """Use `machine.at`."""
        self._machine = machine
        self.version = version

    @property
    def info(self) -> StateInfo:
        return self._machine.info_at(self.version)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self.info.state_root

    @property
    def height(self) -> int:
        return self.info.height

    def get(self, key: bytes) -> bytes | None:
        return self._machine.get(key, self.version)

    def prove(self, *keys: bytes) -> bytes:
        return self._machine.prove(*keys, version=self.version)

    def prove_ics23(self, key: bytes) -> bytes:
        return self._machine.prove_ics23(key, self.version)

    def prove_range(
        self, start: bytes | None = None, end: bytes | None = None, *, limit: int | None = None
    ) -> RangeProof:
        return self._machine.prove_range(start, end, version=self.version, limit=limit)

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
        return self._machine.scan(start, end, prefix=prefix, reverse=reverse, limit=limit, version=self.version)
