"""Figures as cells and sentences have them."""

from __future__ import annotations

from typing import Any

from ioi_stress.notation.text import significant
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.interval import CONFIDENCE, Interval

MIB = 1 << 20


def shown(value: Any) -> str:
    """A parameter or a fact."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value))
    return str(value)


def heading(figure: str) -> str:
    """Of a column, with the unit."""
    return f"{FIGURES[figure].label}, {FIGURES[figure].unit}"


def around(interval: Interval) -> str:
    """From where to where it reaches, and how sure that is."""
    if interval.n == 1:
        return "one repetition"
    between = f"{significant(interval.low)} to {significant(interval.high)}"
    return (
        f"{CONFIDENCE:.0%}: {between}"
        if interval.confidence >= CONFIDENCE
        else f"{between}, least and greatest of {interval.n}"
    )


def milliseconds(seconds: float) -> str:
    return f"{significant(1000 * seconds)} ms"
