"""A chart of lines: medians joined, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from ioi_stress.interval import Interval
from ioi_stress.report.chart import figure, legend, svg, x_axis, y_axis
from ioi_stress.report.markup import Markup, joined, tag
from ioi_stress.report.scale import Scale, thinned
from ioi_stress.text import compact, significant

WIDTH, HEIGHT = 520.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 24.0, 42.0
_CAP = 3.0  # half of the width of what ends a bar
_ASIDE = 5.0  # between series at the same place, or their bars would hide one another
_ALONE = 60  # up to so many points each has a mark and a bar; more are a line with a band
_MARKS = 7
REFERENCE, IDEAL = "sequential", "ideal"
"""Styles of series that others are held against; those of the others are s0, s1, ..."""


@dataclass(frozen=True)
class Series:
    """points: (x, interval), x ascending."""

    label: str
    points: Sequence[tuple[float, Interval]]
    style: str
    joined: bool = True


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    note: str | None = None,
    x: str,
    y: str,
    by: str = "",
    names: Sequence[str] | None = None,
    whole: bool = False,
    high: float | None = None,
) -> Markup:
    """x, y: what the axes are. by: what the series are. names: of x = 0, 1, ..., where it is no number. whole: x is
    whole numbers that follow each other (1, 2, 3, ...), with ticks at round ones. high: the greatest of all charts that
    are to have one scale."""
    xs = sorted({place for each in series for place, _ in each.points})
    across = Scale.around(xs, _LEFT, WIDTH - _RIGHT)
    if names is not None:
        across = Scale(-0.5, len(names) - 0.5, _LEFT, WIDTH - _RIGHT)
    up = Scale.from_zero(
        [interval.high for each in series for _, interval in each.points] if high is None else [high],
        HEIGHT - _BOTTOM,
        _TOP,
    )
    if names is not None:
        ticks = [(place, names[int(place)]) for place in xs]
    elif whole:
        ticks = [
            (tick, f"{tick:,.0f}")
            for tick in sorted({float(round(tick)) for tick in across.ticks(8)})
            if across.low <= tick <= across.high
        ]
    else:
        ticks = [(value, compact(value)) for value in thinned(xs, 9)]
    drawn = [_draw(each, number, len(series), across, up) for number, each in enumerate(series)]
    chart = svg(
        WIDTH,
        HEIGHT,
        f"{title}: {_said(series)}",
        y_axis(up, _LEFT, WIDTH - _RIGHT, [(tick, compact(tick)) for tick in up.ticks()], y),
        x_axis(across, HEIGHT - _BOTTOM, ticks, x),
        drawn,
    )
    entries = [(each.label, _sample(each)) for each in series]
    return figure(chart, title, note, legend(entries, by) if len(entries) > 1 or by else None)


def _draw(series: Series, number: int, of: int, across: Scale, up: Scale) -> Markup:
    many = len(series.points) > _ALONE
    aside = 0.0 if many or series.style in (REFERENCE, IDEAL) else _ASIDE * (number - (of - 1) / 2)
    places = [
        (across.at(x) + aside, up.at(each.median), up.at(each.low), up.at(each.high)) for x, each in series.points
    ]
    parts = []
    spread = any(low - high > 0.5 for _, _, low, high in places)
    if spread and (many or series.style == REFERENCE):
        edge = [f"{x:.1f} {high:.1f}" for x, _, _, high in places] + [
            f"{x:.1f} {low:.1f}" for x, _, low, _ in reversed(places)
        ]
        parts.append(tag("path", d=f"M{' L'.join(edge)} Z", class_=f"band {series.style}"))
    elif spread:
        bars = "".join(
            f"M{x:.1f} {low:.1f}V{high:.1f}M{x - _CAP:.1f} {low:.1f}h{2 * _CAP:g}M{x - _CAP:.1f} "
            f"{high:.1f}h{2 * _CAP:g}"
            for x, _, low, high in places
        )
        parts.append(tag("path", d=bars, class_=f"bar {series.style}"))
    if series.joined and len(places) > 1:
        parts.append(
            tag("path", d="M" + " L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in places), class_=f"line {series.style}")
        )
    if not many and series.style != IDEAL:
        for (x, y, _, _), (_, interval) in zip(places, series.points):
            parts.append(
                tag(
                    "path",
                    tag("title", f"{series.label}: {_words(interval)}"),
                    d=mark(series.style, x, y),
                    class_=f"mark {series.style}",
                )
            )
    return joined(parts)


def mark(style: str, x: float, y: float) -> str:
    """Of a shape of its own: series differ on grey paper too."""
    number = int(style[1:]) % _MARKS if style[1:].isdigit() else -1
    at = f"M{x:.1f} {y:.1f}"
    return (
        at
        + {
            0: "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
            1: "m-3.2 -3.2h6.4v6.4h-6.4z",
            2: "m0 -4l4 7h-8z",
            3: "m0 -4.4l4.4 4.4l-4.4 4.4l-4.4 -4.4z",
            4: "m0 4l-4 -7h8z",
            5: "m-1.3 -4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
            6: "m-4 -1.8h8v3.6h-8z",
            -1: "m-5 -0.7h10v1.4h-10z",
        }[number]
    )


def _sample(series: Series) -> Markup:
    drawn = tag("path", d="M0 6H24", class_=f"line {series.style}") if series.joined else None
    marked = tag("path", d=mark(series.style, 12, 6), class_=f"mark {series.style}") if series.style != IDEAL else None
    return joined([drawn, marked])


def _said(series: Sequence[Series]) -> str:
    """The last of each series, for whoever cannot see them all."""
    return "; ".join(f"{each.label} ends at {significant(each.points[-1][1].median)}" for each in series if each.points)


def _words(interval: Interval) -> str:
    around = f" ({significant(interval.low)} to {significant(interval.high)})" if interval.low < interval.high else ""
    return significant(interval.median) + around
