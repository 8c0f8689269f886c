"""Transactions that take keys out of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from ioi_stress.vm import encoding
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.entries import EntryWorkload, entry
from ioi_stress.workloads.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Shrinking(EntryWorkload):
    name = "shrinking"
    summary = "every transaction reads some keys and deletes them: the state shrinks to what `accounts` says"
    example = "shrinking --keys 10 --blocks 20 --cost-us 0"

    keys: int = parameter(2, least=1, most=10_000, help="keys a transaction deletes; all of them are there at first")

    @property
    def _values(self) -> int:
        return self._entries + super()._values

    def _state(self) -> Mapping[bytes, bytes]:
        return {**{entry(n): self._value(n) for n in range(self._entries)}, **super()._state()}

    def _operations(self, number: int, writes: bool, draws: Draws) -> tuple[list[bytes], list[bytes]]:
        doomed = self._own(number)
        return [encoding.read(key) for key in doomed], [encoding.delete(key) for key in doomed]
