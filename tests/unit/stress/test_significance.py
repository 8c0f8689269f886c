"""Noise is called a difference as rarely as said, and a difference is found, over many simulated comparisons."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from ioi_exec import InputError
from ioi_stress.results.significance import LEVEL, adjusted_p, beyond_drift_p, can_show, change_of_medians

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


@pytest.mark.parametrize("n, drift", [(6, 0.1), (10, 0.1), (30, 0.1), (10, 0.5), (10, 0.0)])
def test_a_steady_drift_is_called_a_difference_at_most_as_often_as_said(n: int, drift: float) -> None:
    """The dealings alone call it one in more than half of these."""
    rng, rounds = np.random.default_rng(n), 150
    wrong = found = 0
    for _ in range(rounds):
        values = rng.normal(0, 0.03, 2 * n) + drift * np.linspace(0, 1, 2 * n)
        wrong += beyond_drift_p(np.exp(values[:n]), np.exp(values[n:])) <= LEVEL
        found += beyond_drift_p(np.exp(values[:n]), np.exp(values[n:] + 0.15)) <= LEVEL
    assert wrong / rounds <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / rounds) ** 0.5
    assert found / rounds >= (0.9 if n > 6 else 0.75)


def test_one_slow_repetition_does_not_hide_a_difference() -> None:
    a = np.array([1.0, 1.01, 0.99, 1.02, 2.9, 0.98, 1.0, 1.01, 0.99, 1.0])
    assert beyond_drift_p(a, 1.2 * a[::-1]) <= LEVEL < beyond_drift_p(a, a[::-1])
    assert beyond_drift_p(np.ones(4), np.ones(4)) == 1 and beyond_drift_p(np.ones(4), 2 * np.ones(4)) == 0
    assert beyond_drift_p(np.zeros(4), np.zeros(4)) == 1


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


RECORDED: list[tuple[tuple[int, int], list[float] | None, tuple[float, float], tuple[float, float]]] = [
    ((1, 6), None, (0.8935932985068157, 1.0694358420691563), (-0.11437920955605452, 0.08142577245311844)),
    (
        (4, 4),
        [0.6571428571428571, 0.6571428571428571, 0.5428571428571428],
        (0.9048319745567468, 1.1840164953229546),
        (-0.10200034965740867, 0.21746251200180655),
    ),
    (
        (5, 6),
        [0.170995670995671, 0.37662337662337664, 0.19480519480519481],
        (0.9581739556689924, 1.2710037224858124),
        (-0.12022534182781108, 0.21281015964107342),
    ),
    ((10, 10), [0.2645, 0.2645, 0.1868], (0.9686082912918306, 1.1948268961877748), (-0.07248200691396223, 0.2227794627770021)),
    ((3, 40), [0.4311, 0.4311, 0.3477], (0.9522060249527445, 1.2335895269176875), (-0.05896440397739888, 0.204750276436659)),
]
"""What came out before SciPy dealt and drew: of exact tests, of sampled ones, and of a single repetition."""


@pytest.mark.parametrize("sizes, p, ratio, difference", RECORDED, ids=[f"{n}-{m}" for (n, m), *_ in RECORDED])
def test_answers_stay_what_they_were(
    sizes: tuple[int, int], p: list[float] | None, ratio: tuple[float, float], difference: tuple[float, float]
) -> None:
    n, m = sizes
    numbers = np.arange(n + m)
    values = np.exp(0.1 * np.sin(np.outer(numbers * numbers + 1, [1, 2, 3])))
    a, b = values[:n], 1.07 * values[n:]
    if p is not None:
        assert adjusted_p(a, b, 1).tolist() == pytest.approx(p, rel=1e-9)
    assert change_of_medians(a[:, 0], b[:, 0], ratio=True, seed=1) == pytest.approx(ratio, rel=1e-9)
    assert change_of_medians(a[:, 1], b[:, 1], ratio=False, seed=1) == pytest.approx(difference, rel=1e-9)


def test_medians_of_zero_are_left_out_of_a_ratio_and_nothing_is_warned_of() -> None:
    a, b = np.array([0.0, 0.0, 1.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = change_of_medians(a, b, ratio=True)
        assert change_of_medians(a[2:3], b[1:2], ratio=True) == (2.0, 2.0)
    assert 0.5 <= low < high <= 3.0


def test_comparing_says_that_it_needs_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(InputError, match=r"comparing needs SciPy: pip install 'ioi-exec\[stress\]'"):
        change_of_medians(np.array([1.0, 2.0]), np.array([1.0, 2.0]), ratio=True)


def test_only_comparing_loads_scipy() -> None:
    code = "import sys, ioi_stress; ioi_stress.compare; import ioi_stress.cli as c; c.parser(); sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0
