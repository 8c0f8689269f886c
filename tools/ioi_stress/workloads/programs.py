"""Workloads of programs over numbered keys that are no payments."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Mapping

from ioi_stress.workloads.base import ACCOUNTS_MAX, FailingWorkload
from ioi_stress.workloads.draws import Draws, chosen
from ioi_stress.workloads.parameters import parameter


def account(number: int) -> bytes:
    return b"account/%08d" % number


@dataclass(frozen=True, kw_only=True)
class ProgramWorkload(FailingWorkload):
    """Each transaction is made by itself: what it does before and after it takes its time."""

    accounts: int = parameter(10_000, least=1, most=ACCOUNTS_MAX, help="keys the state begins with")

    @property
    def _values(self) -> int:
        return self.accounts

    def _state(self) -> Mapping[bytes, bytes]:
        return {account(n): self._value(n) for n in range(self.accounts)}

    def _block(self, number: int, fails: list[bool], memory: dict[int, int]) -> list[bytes]:
        draws, first = self._draws("programs", number), number * self.block_size
        writes = self._writers(number)
        return [
            self._transaction(first + i, *self._operations(first + i, writes[i], draws), fail)
            for i, fail in enumerate(fails)
        ]

    def _writers(self, block: int) -> list[bool]:
        """Which transactions of a block write."""
        return chosen(self._writing, block * self.block_size, self.block_size, self._draws("writes", block))

    @property
    def _writing(self) -> Fraction:
        """The share of transactions that write, exactly."""
        return Fraction(1)

    @abstractmethod
    def _operations(self, number: int, writes: bool, draws: Draws) -> tuple[list[bytes], list[bytes]]:
        """What transaction `number`, counted over all blocks, does before and after it takes its time."""
