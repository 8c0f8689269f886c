"""Lines with their intervals, the element that every figure here is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from ioi_stress.plot.style import SEQUENTIAL, series_styles
from ioi_stress.results.interval import Interval
from ioi_stress.sweeps.rows import Row
from ioi_stress.sweeps.series import Measure, baselines, doubtful_at, points_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ASIDE = 0.012  # of the width of the axes
REFERENCES = ("sequential", "ideal", "published")


def draw_all(axes: Axes, series: Sequence[tuple[Any, str, list[Row]]], x: str, measure: Measure) -> None:
    """One line for each of the series (value, label, rows): medians, joined, with error bars from end to end of the
    interval. Lines stand a little beside each other, else their bars would hide one another. Wants the x axis to have
    its scale already."""
    low, high = axes.get_xlim()
    for number, ((_, label, rows), style) in enumerate(zip(series, series_styles([value for value, _, _ in series]))):
        points = points_of(rows, x, measure)
        if not points:
            continue
        aside = ASIDE * (number - (len(series) - 1) / 2)
        xs = [_moved(axes, float(value), aside, low, high) for value, _ in points]
        intervals = [interval for _, interval in points]
        axes.errorbar(
            xs,
            [each.median for each in intervals],
            yerr=around(intervals),
            label=label,
            capsize=2.5,
            elinewidth=0.9,
            capthick=0.9,
            **style,
        )
        doubtful = doubtful_at(rows, x)
        for place, (value, interval) in zip(xs, points):
            if value in doubtful:
                axes.plot([place], [interval.median], linestyle="", markerfacecolor="white", zorder=3, **style)


def around(intervals: Sequence[Interval]) -> list[list[float]]:
    """How far down and up the intervals reach from their medians, as error bars are given."""
    return [[each.median - each.low for each in intervals], [each.high - each.median for each in intervals]]


def _moved(axes: Axes, value: float, share: float, low: float, high: float) -> float:
    """Moved to the right by a share of the axis."""
    if axes.get_xscale() == "log":
        return float(value * (high / low) ** share)
    return value + share * (high - low)


def sequential(axes: Axes, series: Sequence[tuple[Any, str, list[Row]]], x: str, measure: Measure) -> bool:
    """The sequential execution that ran beside: a dashed line for all of the series, or one in the colour of each where
    they differ in it. Whether there was any."""
    found = baselines([rows for _, _, rows in series], x, measure)
    styles = series_styles([value for value, _, _ in series])
    for number, points in found:
        colour = SEQUENTIAL if number is None else styles[number]["color"]
        xs = [float(value) for value, _ in points]
        axes.fill_between(
            xs,
            [interval.low for _, interval in points],
            [interval.high for _, interval in points],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
        style: dict[str, Any] = {"marker": "_", "markersize": 12} if len(points) == 1 else {}
        axes.plot(
            xs,
            [interval.median for _, interval in points],
            color=colour,
            linestyle="--",
            label="sequential" if number is None else "_",
            **style,
        )
    if len(found) > 1:
        axes.plot([], [], color=SEQUENTIAL, linestyle="--", label="sequential")
    return bool(found)


def legend(axes: Axes, title: str) -> None:
    """Beside the axes, where it hides nothing; the lines that others are held against stand last."""
    entries = sorted(zip(*axes.get_legend_handles_labels()), key=lambda entry: entry[1].startswith(REFERENCES))
    if len(entries) > 1 or title:
        axes.legend(
            [handle for handle, _ in entries],
            [label for _, label in entries],
            title=title or None,
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0.0,
            alignment="left",
        )
