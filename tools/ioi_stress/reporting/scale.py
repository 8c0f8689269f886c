"""From values to places on an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

from ioi_stress.notation.text import round_step

_LOG_FROM = 8  # times the least: what is compared then are ratios
_ROOM = 0.05


@dataclass(frozen=True)
class Scale:
    """low at `begin`, high at `end`, which may be the smaller."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    @classmethod
    def from_zero(cls, values: Sequence[float], begin: float, end: float, most_ticks: int = 5) -> Scale:
        """Up to the round number above all values, so that lengths can be compared."""
        high = max((value for value in values if math.isfinite(value)), default=0.0) or 1.0
        step = round_step(high / most_ticks)
        return cls(0.0, step * math.ceil(high / step - 1e-9), begin, end)

    @classmethod
    def around(cls, values: Sequence[float], begin: float, end: float) -> Scale:
        """With some room beside the least and the greatest; logarithmic where they are far apart."""
        low, high = min(values), max(values)
        if low == high:
            return cls(low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2, begin, end)
        if low > 0 and high / low >= _LOG_FROM:
            return cls(low * (low / high) ** _ROOM, high * (high / low) ** _ROOM, begin, end, log=True)
        room = _ROOM * (high - low)
        return cls(low - room, high + room, begin, end)

    def at(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers within, at most so many and one."""
        step = round_step((self.high - self.low) / most)
        return [
            number * step
            for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        ]
