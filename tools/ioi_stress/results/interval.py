"""A median with its confidence interval: no assumption about how the measurements are distributed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from math import comb
from typing import Any, Iterable

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """The median of `n` measurements and the interval that holds the true median with at least `confidence`.

    Between order statistics: with x(k) the k-th smallest, the median lies in [x(k), x(n + 1 - k)] with probability
    1 - 2 P[Binomial(n, 1/2) < k]; the largest k that is still confident enough is taken. Up to five measurements are too few for
    95 %: the interval is then from the least to the greatest, and `confidence` says how much that is worth.
    """

    median: float
    low: float
    high: float
    n: int
    confidence: float

    @classmethod
    def of(cls, measured: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
        """Raises ValueError if there are no measurements."""
        ordered = sorted(measured)
        n = len(ordered)
        if n == 0:
            raise ValueError("an interval of no measurements")
        below, k = 1.0 / 2**n, 1  # P[Binomial(n, 1/2) < k]
        while k < n // 2 and 1 - 2 * (below + comb(n, k) / 2**n) >= confidence:
            below += comb(n, k) / 2**n
            k += 1
        return cls(statistics.median(ordered), ordered[k - 1], ordered[n - k], n, 1 - 2 * below if n > 1 else 0.0)

    @classmethod
    def whole(cls, values: Iterable[float]) -> Interval:
        """From the least to the greatest, of what is no sample of anything else. Raises ValueError if there are none."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError("an interval of no values")
        return cls(statistics.median(ordered), ordered[0], ordered[-1], len(ordered), 1.0)

    @property
    def spread(self) -> float:
        """Half of the interval's width, as a share of the median; 0 where the median is 0."""
        return (self.high - self.low) / 2 / abs(self.median) if self.median else 0.0

    def to_json(self) -> dict[str, Any]:
        return {"median": self.median, "low": self.low, "high": self.high, "n": self.n, "confidence": round(self.confidence, 4)}
