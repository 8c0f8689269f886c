"""Zipf's law in integers: item k (from 1) is drawn in proportion to 1 / k^s, to the same bit on every machine.

The weights are computed with additions, multiplications and divisions of doubles, which IEEE 754 rounds in one way
only, and with nothing of a C library, whose logarithms differ from machine to machine. They are within 1e-12 of k^-s.
They then become integers, at least 1, and a draw compares integers."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from typing import Any

from ioi_stress.workloads.draws import Draws

S_MAX = 10
_LN2 = 0.69314718055994531


class Popularity:
    """Draws items 0 .. count - 1, of which item i has the weight of 1 / (i + 1)^s."""

    def __init__(self, count: int, s: float) -> None:
        self._ends = _ends(count, s)
        self.total = self._ends[-1]

    def weight(self, item: int) -> int:
        """Out of `total`."""
        return self._ends[item] - self._start(item)

    def draw(self, draws: Draws) -> int:
        return bisect_right(self._ends, draws.below(self.total))

    def draw_other(self, draws: Draws, item: int) -> int:
        """Any item but this one, in proportion to the weights of the others. There must be two."""
        place = draws.below(self.total - self.weight(item))
        return bisect_right(self._ends, place if place < self._start(item) else place + self.weight(item))

    def _start(self, item: int) -> int:
        return self._ends[item - 1] if item else 0


@lru_cache(maxsize=4)
def _ends(count: int, s: float) -> "array[int]":
    """Where each item's share of the numbers ends. The last is the total, below 2^63."""
    import numpy as np

    scale = float(1 << 62 - count.bit_length())
    weights = np.maximum(np.floor(_power(np.arange(1, count + 1, dtype=np.float64), s) * scale), 1.0)
    ends = array("Q")
    ends.frombytes(np.cumsum(weights.astype(np.uint64)).astype(np.uint64).tobytes())
    return ends


def _power(k: Any, s: float) -> Any:
    """k^-s for an array of doubles from 1 to 2^53."""
    import numpy as np

    # ln k = e ln 2 + ln m with k = m 2^e and m in [0.707, 1.414), ln m = 2 artanh z with z = (m - 1) / (m + 1)
    m, e = np.frexp(k)
    low = m < 0.70710678118654752
    m, e = np.where(low, m * 2.0, m), (e - low).astype(np.float64)
    z = (m - 1.0) / (m + 1.0)
    y, series = z * z, np.zeros_like(z)
    for divisor in range(25, 0, -2):  # z^2 < 0.0295: what is left out is below 1e-17
        series = series * y + 1.0 / divisor
    x = -s * (e * _LN2 + 2.0 * z * series)
    # exp(x) = 2^n exp(f) with |f| <= ln 2 / 2
    n = np.floor(x / _LN2 + 0.5)
    f = x - n * _LN2
    power = np.ones_like(f)
    for divisor in range(17, 0, -1):  # f^18 / 18! < 1e-24
        power = 1.0 + power * f / divisor
    return np.ldexp(power, n.astype(np.int64))
