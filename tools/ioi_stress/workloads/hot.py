"""Payments of which many go to a few accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ioi_stress.workloads.accounts import AccountWorkload
from ioi_stress.workloads.draws import Draws, chosen
from ioi_stress.workloads.parameters import NUMBER, exact, parameter


@dataclass(frozen=True, kw_only=True)
class Hot(AccountWorkload):
    name = "hot"
    summary = "a few accounts receive a given share of all payments: each of them is a queue"
    example = "hot --receivers 4 --share 0.8 --vm payments"

    receivers: int = parameter(1, least=1, help="hot accounts, which only receive")
    share: float = parameter(
        0.5, kind=NUMBER, metavar="SHARE", most=1, help="share of payments that go to one of them, exactly"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._total < self.receivers + 2:
            raise self._wrong(f"{self._total} accounts: {self.receivers} hot ones and at least 2 others are needed")

    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterator[tuple[int, int]]:
        hot = self.receivers
        others = self._total - hot
        to_hot = chosen(exact(self.share), block * self.block_size, self.block_size, self._draws("hot", block))
        for is_hot in to_hot:
            sender = draws.below(others)
            if is_hot:
                yield hot + sender, draws.below(hot)
            else:
                other = draws.below(others - 1)
                yield hot + sender, hot + other + (other >= sender)
