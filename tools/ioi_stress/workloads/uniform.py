"""Payments between accounts of which none is more popular than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ioi_stress.workloads.accounts import AccountWorkload
from ioi_stress.workloads.draws import Draws


@dataclass(frozen=True, kw_only=True)
class Uniform(AccountWorkload):
    name = "uniform"
    summary = "payments between random accounts: few conflicts, and fewer the more accounts there are"
    example = "uniform --accounts 1000 --vm python --cost-us 100"

    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterator[tuple[int, int]]:
        total = self._total
        for _ in fails:
            sender, other = draws.below(total), draws.below(total - 1)
            yield sender, other + (other >= sender)
