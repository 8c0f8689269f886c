"""Bars that lie: sums of parts under each other, and the repetitions of one figure on a line."""

from __future__ import annotations

from typing import Sequence

from ioi_stress.interval import Interval
from ioi_stress.report.chart import LINE, figure, label, legend, patch, svg, x_axis
from ioi_stress.report.markup import Markup, tag
from ioi_stress.report.scale import Scale
from ioi_stress.text import significant

WIDTH, _LEFT, _RIGHT, _TOP = 520.0, 84.0, 14.0, 6.0
_TALL, _SMALL, _MANY = 30.0, 15.0, 8
_LETTER = 6.2  # about as wide as one is
STRIP_WIDTH, STRIP_HEIGHT = 150.0, 22.0


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
    children: list[object] = [x_axis(across, bottom, [(tick, f"{tick:,g}") for tick in across.ticks()], unit, _TOP)]
    for number, (name, values) in enumerate(rows):
        y, at = _TOP + height * number, 0.0
        children.append(label(_LEFT - 6, y + height / 2 + LINE / 3, name, anchor="end"))
        for value, (part, class_) in zip(values, parts):
            x, width = across.at(at), across.at(at + value) - across.at(at)
            at += value
            if width < 0.05:
                continue
            hint = tag("title", f"{name}, {part}: {significant(value)} {unit}")
            children.append(
                tag("rect", hint, x=x, y=y + 0.12 * height, width=width, height=0.76 * height, class_=class_)
            )
            text = significant(value)
            if height >= _TALL and width > _LETTER * (len(text) + 1):
                children.append(label(x + width / 2, y + height / 2 + LINE / 3, text, f"inside {class_}"))
    chart = svg(
        WIDTH,
        bottom + 42,
        f"{title}: " + "; ".join(f"{name} {significant(sum(values))} {unit}" for name, values in rows),
        children,
    )
    shown = [(name, patch(class_)) for (name, class_), is_used in zip(parts, used) if is_used]
    return figure(chart, title, note, legend(shown))


def strip(values: Sequence[float], interval: Interval, what: str) -> Markup:
    """A dot for each measurement, the interval behind them, a line at the median."""
    least, most = min(values), max(values)
    room = (most - least) / 40 or 1.0
    across = Scale(least - room, most + room, 5.0, STRIP_WIDTH - 5.0)
    middle = STRIP_HEIGHT / 2
    low, median, high = map(across.at, (interval.low, interval.median, interval.high))
    return svg(
        STRIP_WIDTH,
        STRIP_HEIGHT,
        f"{what}: {', '.join(map(significant, values[:20]))}",
        tag("line", x1=2, x2=STRIP_WIDTH - 2, y1=middle, y2=middle, class_="axis"),
        tag("rect", x=low, width=max(high - low, 1.0), y=middle - 6, height=12, class_="interval")
        if len(values) > 1
        else None,
        [tag("circle", cx=across.at(value), cy=middle, r=2.2, class_="dot") for value in values],
        tag("line", x1=median, x2=median, y1=middle - 8, y2=middle + 8, class_="median"),
        class_="strip",
    )
