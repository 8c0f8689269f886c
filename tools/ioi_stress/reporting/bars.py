"""Bars that lie: sums of parts under each other, and the repetitions of one figure on a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

from ioi_stress.notation.text import significant
from ioi_stress.reporting.rendering import LINE, render
from ioi_stress.reporting.scale import Scale
from ioi_stress.results.interval import Interval

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, _LEFT, _RIGHT, _TOP = 520.0, 84.0, 14.0, 6.0
_TALL, _SMALL, _MANY = 30.0, 15.0, 8
_LETTER = 6.2  # about as wide as one is
STRIP_WIDTH, STRIP_HEIGHT = 150.0, 22.0


@dataclass(frozen=True)
class _Bar:
    """said: when it is pointed at. text: written on it, if there is room."""

    x: float
    y: float
    width: float
    height: float
    style: str
    said: str
    text: str


def stacked(
    rows: Sequence[tuple[str, Sequence[float]]],
    parts: Sequence[tuple[str, str]],
    *,
    title: str,
    note: str | None = None,
    unit: str,
    high: float | None = None,
) -> Markup:
    """rows: (name, a value for each part). parts: (name, class of its colour). high: the end of the axis; default: a
    round number."""
    height = _TALL if len(rows) <= _MANY else _SMALL
    bottom = _TOP + height * len(rows)
    across = Scale.from_zero([sum(values) for _, values in rows], _LEFT, WIDTH - _RIGHT)
    if high is not None:
        across = Scale(0.0, high, _LEFT, WIDTH - _RIGHT)
    used = [any(values[index] > 0.002 * across.high for _, values in rows) for index in range(len(parts))]
    drawn = []
    for number, (name, values) in enumerate(rows):
        y, at = _TOP + height * number, 0.0
        bars = []
        for value, (part, style) in zip(values, parts):
            x, width = across.at(at), across.at(at + value) - across.at(at)
            at += value
            if width < 0.05:
                continue
            text = significant(value)
            room = height >= _TALL and width > _LETTER * (len(text) + 1)
            said = f"{name}, {part}: {text} {unit}"
            bars.append(_Bar(x, y + 0.12 * height, width, 0.76 * height, style, said, text if room else ""))
        drawn.append({"name": name, "x": _LEFT - 6, "y": y + height / 2 + LINE / 3, "bars": bars})
    return render(
        "stacked.html",
        title=title,
        note=note,
        said=f"{title}: " + "; ".join(f"{name} {significant(sum(values))} {unit}" for name, values in rows),
        width=WIDTH,
        height=bottom + 42,
        across=across,
        x_ticks=[(tick, f"{tick:,g}") for tick in across.ticks()],
        unit=unit,
        top=_TOP,
        bottom=bottom,
        rows=drawn,
        shown=[part for part, is_used in zip(parts, used) if is_used],
    )


def strip(values: Sequence[float], interval: Interval, what: str) -> Markup:
    """A dot for each measurement, the interval behind them, a line at the median."""
    least, most = min(values), max(values)
    room = (most - least) / 40 or 1.0
    across = Scale(least - room, most + room, 5.0, STRIP_WIDTH - 5.0)
    return render(
        "strip.html",
        width=STRIP_WIDTH,
        height=STRIP_HEIGHT,
        middle=STRIP_HEIGHT / 2,
        said=f"{what}: {', '.join(map(significant, values[:20]))}",
        low=across.at(interval.low),
        median=across.at(interval.median),
        high=across.at(interval.high),
        dots=[across.at(value) for value in values],
    )
