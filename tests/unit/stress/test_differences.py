"""Points of an interleaved sweep: noise and drift are called a difference as rarely as said, and differences are found."""

from __future__ import annotations

import numpy as np
import pytest
from test_plot import sweep_of

from ioi_stress.results.significance import LEVEL
from ioi_stress.sweeps.differences import LEAST, adjusted_p, differences

ROUNDS = 12
COMPARISONS = 6


def simulated(rng: np.random.Generator, drift: float, step: bool) -> list[dict[int, float]]:
    """Six points beside a seventh, all alike, on a machine that gets slower by `drift` from the first to the last execution, evenly or
    at once; logarithms of the ratios of each round."""
    times = np.linspace(0, 1, ROUNDS * (COMPARISONS + 1))
    slower = -drift * ((times > rng.random()) if step else times)
    found: list[dict[int, float]] = [{} for _ in range(COMPARISONS)]
    for number in range(ROUNDS):
        order = rng.permutation(COMPARISONS + 1)
        values = slower[number * (COMPARISONS + 1) + order] + rng.normal(0, 0.02, COMPARISONS + 1)
        for point in range(COMPARISONS):
            found[point][number] = float(values[point + 1] - values[0])
    return found


@pytest.mark.parametrize("drift, step", [(0.0, False), (0.3, False), (1.0, False), (0.5, True)])
def test_a_machine_that_drifts_makes_no_point_faster(drift: float, step: bool) -> None:
    rng, rounds = np.random.default_rng(3), 200
    wrong = 0
    for _ in range(rounds):
        wrong += any(p is not None and p <= LEVEL for p in adjusted_p(simulated(rng, drift, step)))
    assert wrong / rounds <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / rounds) ** 0.5  # of any of the six


@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_a_true_difference_is_found_in_spite_of_it(drift: float) -> None:
    rng, rounds = np.random.default_rng(4), 60
    found = others = 0
    for _ in range(rounds):
        made = simulated(rng, drift, False)
        made[2] = {number: value + 0.1 for number, value in made[2].items()}
        p = adjusted_p(made)
        found += p[2] is not None and p[2] <= LEVEL
        others += any(each is not None and each <= LEVEL for place, each in enumerate(p) if place != 2)
    assert found / rounds >= 0.95 and others / rounds <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / rounds) ** 0.5


def test_few_rounds_and_missing_ones() -> None:
    same = [dict.fromkeys(range(LEAST - 1), 0.1), {number: 0.1 + number / 1000 for number in range(LEAST)}]
    few, enough = adjusted_p(same)
    assert few is None and enough == pytest.approx(2 / 2**LEAST)
    assert adjusted_p([]) == [] and adjusted_p([dict.fromkeys(range(20), 0.0)]) == [1.0]


def test_of_a_sweep_each_value_beside_the_first() -> None:
    sweep = sweep_of(accounts=(2, 10), blocks=(100,), workers=(2,), policies=("default", "paper"), repeat=7)
    found = differences(sweep)
    by_policy = [each for each in found if each.column == "policy"]
    assert [(each.value, each.against, each.where) for each in by_policy] == [
        ("paper", "default", {"accounts": 2}), ("paper", "default", {"accounts": 10}),
    ]
    assert all(each.ratio == pytest.approx(0.8) and each.verdict == "slower" and each.rounds == 7 for each in by_policy)
    assert {each.column for each in found} == {"accounts", "policy"}
    text = str(sweep)
    assert "policy paper beside default, accounts 2: slower, 0.8 times (0.8..0.8)" in text
    assert "beside" not in str(sweep_of(accounts=(2,), blocks=(100,), workers=(2,)))
    assert "too few rounds to tell (6 at least)" in str(sweep_of(accounts=(2, 10), blocks=(100,), workers=(2,), repeat=3))
