"""Transactions that scan ranges in which others insert and delete."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Mapping

from ioi_stress.vm import encoding
from ioi_stress.workloads.base import runs_on_parameter
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.parameters import NUMBER, exact, parameter
from ioi_stress.workloads.programs import ProgramWorkload, account


@dataclass(frozen=True, kw_only=True)
class ScanHeavy(ProgramWorkload):
    name = "scan-heavy"
    summary = (
        "transactions scan ranges into which others insert keys and from which they delete: phantoms (only in Python)"
    )
    example = "scan-heavy --scan-length 200 --write-share 0.1"

    block_size: int = parameter(1_000, least=1, most=200_000, help="transactions in a block")
    runs_on: str = runs_on_parameter("python")
    scan_length: int = parameter(
        50, least=1, most=1_000_000, help="pairs a transaction looks at, from a random key on, half of them backwards"
    )
    write_share: float = parameter(
        0.5,
        kind=NUMBER,
        metavar="SHARE",
        most=1,
        help="share of transactions that also insert, change or delete a random key, exactly",
    )

    def _state(self) -> Mapping[bytes, bytes]:
        """Every other key of twice as many: as many can be inserted as are there."""
        return {account(2 * n): self._value(n) for n in range(self.accounts)}

    @property
    def _writing(self) -> Fraction:
        return exact(self.write_share)

    def _operations(self, number: int, writes: bool, draws: Draws) -> tuple[list[bytes], list[bytes]]:
        place = encoding.key(account(draws.below(2 * self.accounts)))
        if draws.below(2):
            scan = encoding.scan(end=place, limit=self.scan_length, reverse=True)
        else:
            scan = encoding.scan(start=place, limit=self.scan_length)
        if not writes:
            return [scan], []
        target = encoding.key(account(draws.below(2 * self.accounts)))
        return [scan], [encoding.delete(target) if draws.below(2) else encoding.write(target, self.value_bytes)]
