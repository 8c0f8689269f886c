"""Which points of a sweep differ, and which differences are noise.

Points that differ in one column alone are compared, each with the first value of that column, round by round: a round runs every point
once, in an order of chance, so that whatever the machine does over the hours changes both sides of a ratio alike, and drift cancels. Were
two points the same, the sign of the difference in each round might as well be the other: the test flips the signs of whole rounds, of all
comparisons together, and holds the chance of any false difference among them to the level (the greatest statistic of each flipping
decides, as in Westfall and Young, 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ioi_stress.results.interval import Interval
from ioi_stress.results.significance import LEVEL

if TYPE_CHECKING:
    from ioi_stress.sweeps.sweep import Sweep

FLIPPINGS = 9_999
ALL_FLIPPINGS = 13  # rounds up to which every flipping is tried
LEAST = 6  # rounds: of fewer no difference can be shown at 5 %
MEASURE = "transactions_per_second"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How a point's throughput is beside that of another, which differs from it in `column` alone. where: what they have in common, of
    what varies. ratio: median over the rounds that both have; low, high: its 95 % interval. p: of as great a difference anywhere were
    there none; None: too few rounds."""

    column: str
    value: Any
    against: Any
    where: dict[str, Any]
    rounds: int
    ratio: float
    low: float
    high: float
    p: float | None

    @property
    def shown(self) -> bool:
        return self.p is not None and self.p <= LEVEL

    @property
    def verdict(self) -> str:
        if self.p is None:
            return f"too few rounds to tell ({LEAST} at least)"
        if not self.shown:
            return "no difference shown"
        return "faster" if self.ratio > 1 else "slower"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def differences(sweep: Sweep) -> list[Difference]:
    """By column, for every one that varies: each value beside the first, wherever all else is the same."""
    points = {
        key: {row["repetition"]: row[MEASURE] for row in rows if row[MEASURE]} for key, rows in sweep.points().items()
    }
    names = sweep.point_columns
    varying = [place for place in range(len(names)) if len({key[place] for key in points}) > 1]
    found: list[tuple[int, tuple[Any, ...], tuple[Any, ...], dict[int, float]]] = []
    for place in varying:
        groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        for key in points:
            groups.setdefault((*key[:place], *key[place + 1 :]), []).append(key)
        for first, *others in groups.values():
            for other in others:
                both = points[other].keys() & points[first].keys()
                ratios = {number: float(np.log(points[other][number] / points[first][number])) for number in both}
                if ratios:
                    found.append((place, first, other, ratios))
    p = adjusted_p([each[-1] for each in found])
    made = []
    for (place, first, other, ratios), chance in zip(found, p):
        of = Interval.of(ratios.values())
        common = {names[each]: other[each] for each in varying if each != place}
        ends = [float(np.exp(value)) for value in (of.median, of.low, of.high)]
        made.append(Difference(names[place], other[place], first[place], common, len(ratios), ends[0], ends[1], ends[2], chance))
    return made


def adjusted_p(ratios: Sequence[dict[int, float]], seed: int = 0) -> list[float | None]:
    """Of comparisons: logarithms of ratios by round. None where there are too few rounds."""
    chosen = [each for each in ratios if len(each) >= LEAST]
    if not chosen:
        return [None] * len(ratios)
    rounds = sorted(set().union(*chosen))
    table = np.array([[each.get(number, 0.0) for number in rounds] for each in chosen])  # what is missing says nothing
    signs = _signs(len(rounds), seed)
    scale = np.sqrt((table**2).sum(axis=1))  # the same for every flipping
    scale[scale == 0] = 1.0
    reached = np.abs(signs @ table.T) / scale
    found = reached[0]  # the first flips nothing
    greatest = reached.max(axis=1)
    p = [float((greatest >= each - 1e-12).mean()) for each in found]
    each_p = iter(p)
    return [next(each_p) if len(each) >= LEAST else None for each in ratios]


def _signs(rounds: int, seed: int) -> Floats:
    if rounds <= ALL_FLIPPINGS:
        return np.array(list(product((1.0, -1.0), repeat=rounds)))
    drawn = np.random.default_rng(seed).choice([1.0, -1.0], (FLIPPINGS, rounds))
    return np.concatenate([np.ones((1, rounds)), drawn])
