"""Noise is called a difference as rarely as said, and a difference is found, over many simulated comparisons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ioi_stress.significance import LEVEL, adjusted_p, can_show, change_of_medians

FIGURES = 11


def simulated(rng: np.random.Generator, n: int, noise: float, together: bool, slow: float) -> npt.NDArray[np.float64]:
    """(2 n, figures) positive measurements. together: most of the noise is common to all figures, as with times of one
    repetition. slow: share of measurements that something else made almost three times as long."""
    common = rng.normal(0, noise, (2 * n, 1)) if together else 0.0
    own = rng.normal(0, noise * (0.3 if together else 1.0), (2 * n, FIGURES))
    return np.exp(common + own + (rng.random((2 * n, FIGURES)) < slow))


@pytest.mark.parametrize("n, together, slow", [(5, True, 0.0), (10, False, 0.1), (30, True, 0.05)])
def test_the_same_twice_is_called_different_at_most_as_often_as_said(n: int, together: bool, slow: float) -> None:
    rng, rounds = np.random.default_rng(n), 150
    wrong = 0
    for seed in range(rounds):
        both = simulated(rng, n, 0.03, together, slow)
        wrong += bool((adjusted_p(both[:n], both[n:], seed, dealings=159) <= LEVEL).any())
    assert wrong / rounds <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / rounds) ** 0.5  # of any of the eleven figures


@pytest.mark.parametrize("n, slow, found", [(6, 0.0, 0.8), (10, 0.0, 0.95), (30, 0.1, 0.85)])
def test_a_tenth_is_found_through_a_noise_of_three_percent(n: int, slow: float, found: float) -> None:
    rng, rounds = np.random.default_rng(n), 60
    hits = others = 0
    for seed in range(rounds):
        both = simulated(rng, n, 0.03, False, slow)
        both[n:, 0] *= 1.1
        p = adjusted_p(both[:n], both[n:], seed, dealings=159)
        hits += bool(p[0] <= LEVEL)
        others += bool((p[1:] <= LEVEL).any())
    assert hits / rounds >= found
    assert others / rounds <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / rounds) ** 0.5  # the ten that did not change


def test_every_dealing_is_tried_where_they_are_few() -> None:
    a, b = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[5.0], [6.0], [7.0], [9.0]])
    assert adjusted_p(a, b)[0] == pytest.approx(2 / 70)  # the one found, and its mirror image, of 8 over 4
    assert adjusted_p(a, b[::-1])[0] == adjusted_p(b, a)[0] == pytest.approx(2 / 70)
    assert can_show(4, 4) and can_show(3, 5) and not can_show(3, 3) and not can_show(1, 30)


def test_a_figure_that_hardly_varies() -> None:
    a = np.array([[1.0, 0.1, 3.0]] * 6)
    b = np.array([[1.0, 0.1, 4.0]] * 6)
    p = adjusted_p(a, b)
    assert p[0] == p[1] == 1 and p[2] < LEVEL
    assert adjusted_p(a * 1e-300, b * 1e-300)[2] < LEVEL


def test_the_same_measurements_give_the_same_numbers() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((20, 3)), rng.random((20, 3))
    assert (adjusted_p(a, b, seed=4) == adjusted_p(a, b, seed=4)).all()
    assert change_of_medians(a[:, 0], b[:, 0], ratio=True) == change_of_medians(a[:, 0], b[:, 0], ratio=True)


@pytest.mark.parametrize("n", [5, 10, 30])
def test_the_interval_of_a_ratio_holds_it(n: int) -> None:
    rng, rounds, held = np.random.default_rng(n), 150, 0
    for seed in range(rounds):
        a, b = np.exp(rng.normal(0, 0.1, n)), 1.3 * np.exp(rng.normal(0, 0.1, n))
        low, high = change_of_medians(a, b, ratio=True, seed=seed, resamples=499)
        held += low <= 1.3 <= high
    assert held / rounds >= 0.85  # 95 % of many repetitions, somewhat less of few, as it says


def test_a_difference_instead_of_a_ratio() -> None:
    zero, some = np.zeros(9), np.full(9, 0.25)
    assert change_of_medians(zero, some, ratio=False) == (0.25, 0.25)
