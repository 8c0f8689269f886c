"""Whether two sets of repetitions differ, in several figures at once, without calling noise a difference.

A figure is compared by a permutation test: were A and B the same, any of their repetitions might as well have been the
other's, so the difference found must be greater than nearly all of those that come out when repetitions are dealt out
anew. Nothing is assumed about how measurements are distributed. The statistic is that of Yuen (1974): the difference of
the trimmed means (a fifth off each end, so that single repetitions that something else slowed down do not decide) over
its standard error. SciPy deals, and draws for the bootstrap; the statistic and what is made of many figures are here.

With eleven figures tested at 5 % each, half of all comparisons of a thing with itself would show some difference. So
the chance of even one false difference among all figures is held to the level, by the step-down maxT procedure of
Westfall and Young (1993): each figure's statistic is compared with the greatest of those not yet decided, under the
same dealings. It does what Holm's does, and loses less where figures hang together, as throughput and executing time
do. (Holm's needs p < 0.05/11, which five repetitions cannot reach.)
"""

from __future__ import annotations

from math import comb
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ioi_exec import InputError

Floats: TypeAlias = "npt.NDArray[np.float64]"
LEVEL = 0.05
DEALINGS = 9_999
RESAMPLES = 9_999
TRIMMED = 0.2
TRIMMED_FROM = 8  # repetitions; of fewer all count: of three or four that are left, the standard error is chance


def can_show(n: int, m: int, level: float = LEVEL) -> bool:
    """Whether n and m repetitions are enough for any difference to be shown: four and four are, three and three are
    not."""
    least = (2 if n == m else 1) / comb(n + m, n)
    return min(n, m) >= 2 and least <= level


def adjusted_p(a: Floats, b: Floats, seed: int = 0, dealings: int = DEALINGS) -> Floats:
    """For every figure, the probability that one as different would be among all of them were A and B the same.

    a, b: (repetitions, figures). All dealings are tried if there are at most `dealings`, else so many, chosen by
    `seed`, beside the one found (which makes the p-value valid, not approximately so). Same arguments, same result.
    """
    pooled = np.array([_scaled(column) for column in np.concatenate([a, b]).T])  # (figures, repetitions)
    dealt = _stats().permutation_test(
        (pooled[:, : len(a)], pooled[:, len(a) :]),
        _statistics,
        vectorized=True,
        n_resamples=dealings,
        alternative="greater",
        axis=-1,
        rng=np.random.default_rng(seed),
    )
    found, every = dealt.statistic, dealt.null_distribution  # (figures,), (dealings, figures): each dealing is of all figures
    if len(every) < comb(len(a) + len(b), len(a)):
        every = np.vstack([found, every])
    order = np.argsort(found)  # the least first: each is compared with the greatest of itself and those before it
    greatest = np.maximum.accumulate(every[:, order], axis=1)
    reached = (greatest >= found[order] * (1 - 1e-9)).mean(axis=0)
    p = np.empty(len(found))
    p[order] = np.maximum.accumulate(reached[::-1])[::-1]  # never smaller than that of a figure that differs more
    return p


def beyond_drift_p(a: Floats, b: Floats) -> float:
    """The probability of as great a difference between B and A, of one figure, were A and B the same on a machine that gets slower or
    faster steadily, from A's first repetition to B's last: the t-test of the step in a straight line with a step, to repetitions in the
    order in which they ran. Single ones that something else slowed down are drawn to the others first.

    What happens at once between A and B, or in a gap between them, nothing can tell from a difference: see Comparison."""
    positive = (a > 0).all() and (b > 0).all()
    sides = [_drawn_in(np.log(side) if positive else side) for side in (a, b)]
    values = np.concatenate(sides)
    n = len(values)
    design = np.stack([np.ones(n), np.arange(n) - (n - 1) / 2, np.repeat([0.0, 1.0], [len(a), len(b)])], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ values
    rest = values - design @ found
    error = float(np.sqrt(max(rest @ rest, 0.0) / (n - 3) * inverse[2, 2]))
    if error < 1e-12:  # a figure that never varies
        return 0.0 if abs(found[2]) > 1e-12 else 1.0
    return float(2 * _stats().t.sf(abs(found[2]) / error, n - 3))


def _drawn_in(values: Floats) -> Floats:
    """Nothing is further from the median than four times as far as half of them are."""
    middle = np.median(values)
    reach = 4 * np.median(np.abs(values - middle))
    return np.clip(values, middle - reach, middle + reach)


def _stats() -> Any:
    try:
        import scipy.stats  # most of a second, which only comparing takes
    except ImportError:
        raise InputError("comparing needs SciPy: pip install 'ioi-exec[stress]'") from None
    return scipy.stats


def _scaled(column: Floats) -> Floats:
    """Logarithms where there are any, since a change is a ratio; around 0 and at most 1, so that rounding can be told
    from noise."""
    values = np.log(column) if (column > 0).all() else column
    values = values - np.median(values)
    return values / (np.abs(values).max() or 1.0)


def _statistics(a: Floats, b: Floats, axis: int = -1) -> Floats:
    """Of the last axis, which is the only one it is asked for."""
    (mean_a, square_a), (mean_b, square_b) = _trimmed(a), _trimmed(b)
    difference, error = np.abs(mean_a - mean_b), np.sqrt(square_a + square_b)
    difference[difference < 1e-12] = 0.0
    error[error < 1e-12] = 1e-12  # a figure that never varies: any difference is a large one
    found: Floats = difference / error
    return found


def _trimmed(groups: Floats) -> tuple[Floats, Floats]:
    """Of every row: the trimmed mean, and the square of its standard error, from the Winsorized variance."""
    n = groups.shape[-1]
    cut = int(TRIMMED * n) if n >= TRIMMED_FROM else 0
    kept = np.sort(groups, axis=-1)[..., cut : n - cut]
    least, most = kept[..., 0], kept[..., -1]
    mean = (kept.sum(axis=-1) + cut * (least + most)) / n
    square = (kept**2).sum(axis=-1) + cut * (least**2 + most**2)
    winsorized = np.maximum(square - n * mean**2, 0.0)  # (n - 1) times the variance
    h = n - 2 * cut
    return kept.mean(axis=-1), winsorized / (h * (h - 1))


def change_of_medians(
    a: Floats, b: Floats, *, ratio: bool, confidence: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The interval of median(b) / median(a), or else of their difference, by the bootstrap: medians of repetitions
    drawn from each with replacement, again and again; the interval holds the middle `confidence` of what comes out
    (Efron's percentiles).
    With few repetitions it is somewhat too narrow, which is why it alone never decides that there is a difference."""
    of_a, of_b = _drawn_medians(a, b, seed, resamples)
    changes = of_b / np.where(of_a == 0, np.nan, of_a) if ratio else of_b - of_a
    low, high = np.nanquantile(changes, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _drawn_medians(a: Floats, b: Floats, seed: int, resamples: int) -> Floats:
    """(2, resamples): medians of what is drawn from A and from B."""
    several = [each for each in (a, b) if len(each) > 1]  # from one repetition there is nothing else to draw
    if not several:
        return np.stack([a, b])

    def medians(*drawn: Floats, axis: int = -1) -> Floats:
        each = iter(drawn)
        found = (np.median(next(each), axis=axis) if len(given) > 1 else given[0] for given in (a, b))
        return np.stack(np.broadcast_arrays(*found))

    rng = np.random.default_rng(seed)
    drawn = _stats().bootstrap(several, medians, n_resamples=resamples, vectorized=True, method="percentile", rng=rng)
    distribution: Floats = drawn.bootstrap_distribution
    return distribution
