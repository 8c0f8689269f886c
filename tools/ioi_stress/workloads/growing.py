"""Transactions that add keys to the state."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_stress.vm import encoding
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.entries import EntryWorkload
from ioi_stress.workloads.parameters import parameter
from ioi_stress.workloads.programs import account


@dataclass(frozen=True, kw_only=True)
class Growing(EntryWorkload):
    name = "growing"
    summary = "every transaction reads an old key and adds new ones: the state grows, and so does the work of its tree"
    example = "growing --keys 10 --blocks 20 --cost-us 0"

    keys: int = parameter(2, least=1, most=10_000, help="keys a transaction adds")

    def _operations(self, number: int, writes: bool, draws: Draws) -> tuple[list[bytes], list[bytes]]:
        old = encoding.key(account(draws.below(self.accounts)))
        return [encoding.read(old)], [encoding.write(new, self.value_bytes) for new in self._own(number)]
