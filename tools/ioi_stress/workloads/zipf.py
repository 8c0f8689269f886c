"""Payments between accounts whose popularity follows Zipf's law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ioi_stress.workloads.accounts import AccountWorkload
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.parameters import NUMBER, parameter
from ioi_stress.workloads.popularity import S_MAX, Popularity


@dataclass(frozen=True, kw_only=True)
class Zipf(AccountWorkload):
    name = "zipf"
    summary = "payments between accounts of which the k-th is met in proportion to 1 / k^s: the more, the larger s"
    example = "zipf --s 1.2 --accounts 100000"

    s: float = parameter(1.0, kind=NUMBER, metavar="S", most=S_MAX, help="exponent of the popularity; 0 is uniform")

    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterator[tuple[int, int]]:
        popularity = Popularity(self._total, self.s)
        for _ in fails:
            recipient = popularity.draw(draws)
            yield popularity.draw_other(draws, recipient), recipient
