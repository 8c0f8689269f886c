"""Payments between disjoint pairs of accounts: nothing stands in the way of anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ioi_stress.workloads.accounts import AccountWorkload
from ioi_stress.workloads.base import ACCOUNTS_MAX
from ioi_stress.workloads.draws import Draws, distinct
from ioi_stress.workloads.parameters import parameter


@dataclass(frozen=True, kw_only=True)
class Pairs(AccountWorkload):
    name = "pairs"
    summary = "no two payments of a block share an account: the best case, which shows what the engine itself costs"
    example = "pairs --blocks 5 --cost sleep --cost-us 200"

    accounts: int | None = parameter(
        None, least=2, most=ACCOUNTS_MAX, help="accounts (default: two for each transaction of a block)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.accounts is None:
            object.__setattr__(self, "accounts", 2 * self.block_size)
        if self._total < 2 * self.block_size:
            raise self._wrong(f"{self._total} accounts: {self.block_size} disjoint pairs need {2 * self.block_size}")

    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterator[tuple[int, int]]:
        picked = distinct(draws, self._total, 2 * self.block_size)
        return zip(picked[::2], picked[1::2])
