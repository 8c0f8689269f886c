"""Whether something grows: a slope with its confidence interval, without an assumption about how what is measured is distributed.

A series is cut into lives (of a process, say), for a new process begins anew. The first quarter of a life is its warm-up and left out;
the rest is cut into windows, of each of which the median stands, so that what goes up and down within one does not matter. The slope is
the median of the slopes of all pairs of windows of one life (Theil and Sen; over several lives Hirsch, Slack and Smith 1982), the
interval around it follows from the variance of Kendall's S over the lives, made larger where what is left beside the line hangs
together from one window to the next (by its autocorrelation, Yue and Wang 2004). A quantity that goes in steps cannot show what is
slower than one step in all the time that was seen: the interval is widened by that much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any, Sequence

import numpy as np

CONFIDENCE = 0.99
WARM_UP = 0.25  # of a life
WINDOWS = 60  # of the longest life there may be
_HOUR = 3600.0
_TOGETHER_MOST = 0.8  # as if there were nine times fewer windows: what bends, too, has a slope
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)

Points = Sequence[tuple[float, float]]
"""(seconds, value), seconds ascending."""


@dataclass(frozen=True)
class Trend:
    """level: the median of all windows. slope: units an hour; low, high: its interval, infinite where there are too few windows for
    one. windows, lives: how many there were, of lives with at least two windows."""

    level: float
    slope: float
    low: float
    high: float
    windows: int
    lives: int

    def to_json(self) -> dict[str, Any]:
        def finite(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "level": self.level, "slope": self.slope, "low": finite(self.low), "high": finite(self.high),
            "windows": self.windows, "lives": self.lives,
        }


def trend(lives: Sequence[Points], seconds: float, step: float = 0.0) -> Trend | None:
    """Of the lives of a series of so many seconds; None if no life has two windows. step: the least that the quantity can change."""
    width = seconds * (1 - WARM_UP) / WINDOWS
    cut = [windows for life in lives if len(windows := _windows(life, width)) > 1]
    if not cut:
        return None
    slopes = np.sort(np.concatenate([_slopes(windows) for windows in cut]))
    slope = float(np.median(slopes))
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in map(len, cut)) * _together(cut, slope)
    beside = _Z * math.sqrt(variance)
    first, last = math.floor((len(slopes) - beside) / 2) - 1, math.ceil((len(slopes) + beside) / 2)
    unseen = step / sum(windows[-1][0] - windows[0][0] for windows in cut)
    low, high = (slopes[first] - unseen, slopes[last] + unseen) if first >= 0 else (-math.inf, math.inf)
    values = [value for windows in cut for _, value in windows]
    return Trend(median(values), slope * _HOUR, float(low) * _HOUR, float(high) * _HOUR, len(values), len(cut))


def _windows(life: Points, width: float) -> list[tuple[float, float]]:
    """The medians of times and values, warm-up left out."""
    if not life:
        return []
    begin = life[0][0] + WARM_UP * (life[-1][0] - life[0][0])
    grouped: dict[int, list[tuple[float, float]]] = {}
    for seconds, value in life:
        if seconds >= begin:
            grouped.setdefault(int((seconds - begin) / width), []).append((seconds, value))
    return [(median(at for at, _ in points), median(value for _, value in points)) for points in grouped.values()]


def _slopes(windows: Points) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of all pairs."""
    at, values = np.array(windows, dtype=np.float64).T
    earlier, later = np.triu_indices(len(at), 1)
    found: np.ndarray[Any, np.dtype[np.float64]] = (values[later] - values[earlier]) / (at[later] - at[earlier])
    return found


def _together(cut: Sequence[Points], slope: float) -> float:
    """By how much the variance grows because neighbours are alike: as if there were so many times fewer windows."""
    products = squares = 0.0
    for windows in cut:
        left = np.array([value - slope * at for at, value in windows])
        left -= np.median(left)
        products += float(left[1:] @ left[:-1])
        squares += float(left @ left)
    alike = min(max(products / squares, 0.0), _TOGETHER_MOST) if squares else 0.0
    return (1 + alike) / (1 - alike)
