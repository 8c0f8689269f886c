"""How one figure changed from one result to another, and the words for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ioi_stress.notation.text import significant
from ioi_stress.results.figures import FIGURES, Figure
from ioi_stress.results.interval import Interval
from ioi_stress.results.result import Repetition

SEQUENTIAL = "sequential_transactions_per_second"
COMPARED = {**FIGURES, SEQUENTIAL: Figure("throughput, sequential", "transactions/s", 1, "faster", "slower")}
"""What is compared: every figure, and sequential execution."""


@dataclass(frozen=True)
class Change:
    """How one figure changed. a, b: its medians. change: b / a, or b - a if `ratio` is off because a median is 0; low,
    high: its interval. p: of as great a difference in any figure were there none, all figures taken together; None: too
    few repetitions.
    outcome: "more", "less", "none" (no difference shown), "drift" (one that a machine which
    drifts steadily would explain), "equal" (every repetition gave the same number),
    "unknown"."""

    figure: str
    a: Interval
    b: Interval
    ratio: bool
    change: float
    low: float
    high: float
    p: float | None
    outcome: str

    @property
    def better(self) -> bool | None:
        """Whether B is better; None: no difference shown, or one that is no merit."""
        merit = COMPARED[self.figure].better
        return None if merit == 0 or self.outcome not in ("more", "less") else (merit > 0) == (self.outcome == "more")

    @property
    def verdict(self) -> str:
        """In words, of B."""
        about = COMPARED[self.figure]
        if self.outcome == "equal":
            return "equal"
        if self.outcome == "unknown":
            return "too few repetitions to tell (four of each at least)"
        if self.outcome == "drift":
            return "no difference shown (a machine that drifts steadily would explain it)"
        if self.outcome == "none":
            return f"no difference shown (below the noise of {self._noise()})"
        word = about.more if self.outcome == "more" else about.less
        if not self.ratio:
            return f"{word}: {significant(self.b.median)} instead of {significant(self.a.median)} {about.unit}"
        if not 0.5 <= self.change <= 2:
            return f"{word}: {significant(self.change)} times ({significant(self.low)}..{significant(self.high)})"
        near, far = sorted(abs(100 * (end - 1)) for end in (self.low, self.high))
        return f"{word} by {_percent(abs(self.change - 1))} % ({near:.{_digits(far)}f}..{far:.{_digits(far)}f})"

    def _noise(self) -> str:
        """The greatest change that the interval holds: one of that size might be there and not be seen."""
        if not self.ratio:
            return f"+-{significant(max(abs(self.low), abs(self.high)))} {COMPARED[self.figure].unit}"
        if not 0.5 <= self.low <= self.high <= 2:
            return f"a factor of {significant(max(self.high, 1 / self.low if self.low else float('inf')))}"
        return f"+-{_percent(max(abs(self.low - 1), abs(self.high - 1)))} %"

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "better": self.better,
            "verdict": self.verdict,
        }


def _digits(percent: float) -> int:
    return 0 if percent >= 3 else 1 if percent >= 0.3 else 2


def _percent(share: float) -> str:
    return f"{100 * share:.{_digits(100 * share)}f}"


def compared_figures(repetition: Repetition) -> dict[str, float]:
    """Those of COMPARED that it has."""
    figures = repetition.figures()
    if "speedup_total" in figures and figures["speedup_total"]:
        figures[SEQUENTIAL] = figures["transactions_per_second"] / figures["speedup_total"]
    return figures
