"""Lines with their intervals, the element that every figure here is made of."""

from __future__ import annotations

from typing import Any, Sequence

from matplotlib.axes import Axes

from ioi_stress.interval import Interval
from ioi_stress.plot.data import Measure, points_of
from ioi_stress.plot.style import SEQUENTIAL
from ioi_stress.sweeps.rows import Row


def draw(axes: Axes, points: Sequence[tuple[Any, Interval]], label: str, **style: Any) -> None:
    """Medians, joined, with error bars from end to end of the interval."""
    if not points:
        return
    xs = [float(x) for x, _ in points]
    medians = [interval.median for _, interval in points]
    low = [interval.median - interval.low for _, interval in points]
    high = [interval.high - interval.median for _, interval in points]
    axes.errorbar(xs, medians, yerr=[low, high], label=label, capsize=2.5, elinewidth=0.9, capthick=0.9, **style)


def sequential(axes: Axes, rows: Sequence[Row], x: str, measure: Measure) -> bool:
    """The sequential execution that ran beside, as a dashed line; all of it that shares an x, for neither workers nor policy matter
    to it. Whether there was any."""
    points = points_of(rows, x, measure)
    if points:
        xs = [float(value) for value, _ in points]
        axes.fill_between(
            xs, [interval.low for _, interval in points], [interval.high for _, interval in points], color=SEQUENTIAL, alpha=0.15, linewidth=0
        )
        style: dict[str, Any] = {"marker": "_", "markersize": 12} if len(points) == 1 else {}
        axes.plot(xs, [interval.median for _, interval in points], color=SEQUENTIAL, linestyle="--", label="sequential", **style)
    return bool(points)


def legend(axes: Axes, title: str, **options: Any) -> None:
    """Beside the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1 or title:
        axes.legend(
            [handle[0] if isinstance(handle, tuple) else handle for handle in handles], labels, title=title or None,
            **{"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, "alignment": "left", **options},
        )
