"""A chart of lines: medians joined, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

from ioi_stress.notation.text import compact, significant, thinned
from ioi_stress.reporting.rendering import render
from ioi_stress.reporting.scale import Scale
from ioi_stress.results.interval import Interval

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT = 520.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 24.0, 42.0
_CAP = 3.0  # half of the width of what ends a bar
_ASIDE = 5.0  # between series at the same place, or their bars would hide one another
_ALONE = 60  # up to so many points each has a mark and a bar; more are a line with a band
_MARKS = 7
REFERENCE, IDEAL = "sequential", "ideal"
"""Styles of series that others are held against; those of the others are s0, s1, ... "sequential s1" is beside s1 alone."""


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
    return render(
        "lines.html",
        title=title,
        note=note,
        said=f"{title}: {_said(series)}",
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=WIDTH - _RIGHT,
        bottom=HEIGHT - _BOTTOM,
        across=across,
        x_ticks=ticks,
        x=x,
        up=up,
        y_ticks=[(tick, compact(tick)) for tick in up.ticks()],
        y=y,
        by=by,
        drawn=[_drawn(each, number, len(series), across, up) for number, each in enumerate(series)],
        samples=[(each.label, _Sample(each.style, each.joined, mark(each.style, 12, 6))) for each in series],
    )


@dataclass(frozen=True)
class _Drawn:
    """paths: (what it is, path). marks: (path, said when it is pointed at)."""

    style: str
    paths: Sequence[tuple[str, str]]
    marks: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Sample:
    """Of a series in the legend."""

    style: str
    joined: bool
    mark: str


def _drawn(series: Series, number: int, of: int, across: Scale, up: Scale) -> _Drawn:
    many = len(series.points) > _ALONE
    beside = series.style.startswith(REFERENCE)
    aside = 0.0 if many or beside or series.style == IDEAL else _ASIDE * (number - (of - 1) / 2)
    places = [
        (across.at(x) + aside, up.at(each.median), up.at(each.low), up.at(each.high)) for x, each in series.points
    ]
    paths, marks = [], []
    spread = any(low - high > 0.5 for _, _, low, high in places)
    if spread and (many or beside):
        edge = [f"{x:.1f} {high:.1f}" for x, _, _, high in places]
        edge += [f"{x:.1f} {low:.1f}" for x, _, low, _ in reversed(places)]
        paths.append(("band", f"M{' L'.join(edge)} Z"))
    elif spread:
        caps = f"h{2 * _CAP:g}"
        bars = (
            f"M{x:.1f} {low:.1f}V{high:.1f}M{x - _CAP:.1f} {low:.1f}{caps}M{x - _CAP:.1f} {high:.1f}{caps}"
            for x, _, low, high in places
        )
        paths.append(("bar", "".join(bars)))
    if series.joined and len(places) > 1:
        paths.append(("line", "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in places)))
    if not many and series.style != IDEAL:
        marks = [
            (mark(series.style, x, y), f"{series.label}: {_words(interval)}")
            for (x, y, _, _), (_, interval) in zip(places, series.points)
        ]
    return _Drawn(series.style, paths, marks)


def mark(style: str, x: float, y: float) -> str:
    """Of a shape of its own: series differ on grey paper too."""
    if style == IDEAL:
        return ""
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


def _said(series: Sequence[Series]) -> str:
    """The last of each series, for whoever cannot see them all."""
    return "; ".join(f"{each.label} ends at {significant(each.points[-1][1].median)}" for each in series if each.points)


def _words(interval: Interval) -> str:
    around = f" ({significant(interval.low)} to {significant(interval.high)})" if interval.low < interval.high else ""
    return significant(interval.median) + around
