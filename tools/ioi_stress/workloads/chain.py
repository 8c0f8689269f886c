"""Payments of which each needs the one before: nothing can be gained by doing two at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ioi_stress.workloads.accounts import AccountWorkload
from ioi_stress.workloads.draws import Draws, before


@dataclass(frozen=True, kw_only=True)
class Chain(AccountWorkload):
    name = "chain"
    summary = "each payment spends what the one before brought: the worst case, where parallel execution can only lose"
    example = "chain --block-size 1000 --cost-us 20"

    def _balance(self, account: int) -> int:
        return AMOUNT if account == 0 else 0

    def _amount(self, draws: Draws) -> int:
        return AMOUNT

    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterator[tuple[int, int]]:
        done = block * self.block_size
        holder = done - before(self._failures, done)  # a payment that fails leaves the money where it is
        for fail in fails:
            yield holder % self._total, (holder + 1) % self._total
            holder += not fail


AMOUNT = 1_000_000
"""All the money there is on `payments`."""
