"""Transactions that take keys out of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from ioi_stress.vm import encoding
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.entries import check_count, entry
from ioi_stress.workloads.parameters import parameter
from ioi_stress.workloads.programs import ProgramWorkload


@dataclass(frozen=True, kw_only=True)
class Shrinking(ProgramWorkload):
    name = "shrinking"
    summary = "every transaction reads some keys and deletes them: the state shrinks to what `accounts` says"
    example = "shrinking --keys 10 --blocks 20 --cost-us 0"

    keys: int = parameter(2, least=1, most=10_000, help="keys a transaction deletes; all of them are there at first")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.name, self._transactions * self.keys)

    def genesis(self) -> Mapping[bytes, bytes]:
        self._check_room(self._transactions * self.keys + self.accounts)
        entries = {entry(n): self._value(n) for n in range(self._transactions * self.keys)}
        return {**entries, **super().genesis()}

    def _operations(self, number: int, writes: bool, draws: Draws) -> tuple[list[bytes], list[bytes]]:
        doomed = [encoding.key(entry(n)) for n in range(number * self.keys, (number + 1) * self.keys)]
        return [encoding.read(key) for key in doomed], [encoding.delete(key) for key in doomed]
