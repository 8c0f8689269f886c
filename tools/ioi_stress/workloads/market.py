"""Agents that pay providers, some of which everybody wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ioi_stress.workloads.accounts import AccountWorkload
from ioi_stress.workloads.base import ACCOUNTS_MAX
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.parameters import NUMBER, parameter
from ioi_stress.workloads.popularity import S_MAX, Popularity


@dataclass(frozen=True, kw_only=True)
class Market(AccountWorkload):
    name = "market"
    summary = "agents pay providers, the k-th provider in proportion to 1 / k^s: one side conflicts, the other does not"
    example = "market --providers 20 --s 1.1 --cost-us 50"

    accounts: int = parameter(10_000, least=1, most=ACCOUNTS_MAX // 2, help="agents")
    providers: int = parameter(100, least=1, most=ACCOUNTS_MAX // 2, help="providers")
    s: float = parameter(
        1.0, kind=NUMBER, metavar="S", most=S_MAX, help="exponent of the providers' popularity; 0: all the same"
    )

    @property
    def _total(self) -> int:
        return self.providers + self.accounts

    def _label(self, account: int) -> bytes:
        agent = account - self.providers
        return b"provider/%08d" % account if agent < 0 else b"agent/%08d" % agent

    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterator[tuple[int, int]]:
        popularity = Popularity(self.providers, self.s)
        for _ in fails:
            yield self.providers + draws.below(self.accounts), popularity.draw(draws)
