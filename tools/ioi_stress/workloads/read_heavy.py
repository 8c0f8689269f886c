"""Transactions that read much and seldom write."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ioi_stress.vm import encoding
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.parameters import NUMBER, exact, parameter
from ioi_stress.workloads.programs import ProgramWorkload, account


@dataclass(frozen=True, kw_only=True)
class ReadHeavy(ProgramWorkload):
    name = "read-heavy"
    summary = "transactions read many keys and few of them write one: what recording and checking reads costs"
    example = "read-heavy --reads 100 --write-share 0.01 --cost-us 0"

    reads: int = parameter(20, least=1, most=10_000, help="keys a transaction reads, chosen at random")
    write_share: float = parameter(
        0.1,
        kind=NUMBER,
        metavar="SHARE",
        most=1,
        help="share of transactions that also write one of the keys they read, exactly",
    )

    @property
    def _writing(self) -> Fraction:
        return exact(self.write_share)

    def _operations(self, number: int, writes: bool, draws: Draws) -> tuple[list[bytes], list[bytes]]:
        keys = [encoding.key(account(draws.below(self.accounts))) for _ in range(self.reads)]
        return [encoding.read(key) for key in keys], [encoding.write(keys[0], self.value_bytes)] if writes else []
