"""Leaks are told from noise, on series that are made up."""

from __future__ import annotations

import math
from random import Random
from typing import Callable

import pytest

from ioi_exec import InputError
from ioi_stress.chaos import Report, all_faults
from ioi_stress.chaos.report import Defect
from ioi_stress.soaking import SoakPlan, SoakReport
from ioi_stress.soaking.looking import Look
from ioi_stress.soaking.quantities import QUANTITIES, Quantity
from ioi_stress.soaking.report import FLAT, GROWS, UNTOLD, judged
from ioi_stress.soaking.trend import trend

HOUR = 3600.0
MEMORY = Quantity("memory", "memory", "MiB", "memory", more=2.0, share=0.01)
DESCRIPTORS = Quantity("descriptors", "descriptors", "", "descriptors", more=4.0, step=1.0)
WORKERS = Quantity("memory", "memory, workers", "MiB", "memory", role="workers", more=2.0, share=0.01)


def looks(value: Callable[[float], float], seconds: float = HOUR, name: str = "memory", count: int = 1_000, life: float = HOUR) -> list[Look]:
    """life: seconds that a worker lives."""
    at = [seconds * number / count for number in range(count + 1)]
    return [Look(each, False, {name: value(each)}, {"workers": (int(each / life),)}) for each in at]


def noise(size: float) -> Callable[[float], float]:
    rng = Random(5)
    return lambda seconds: rng.gauss(0, size)


def verdict_of(quantity: Quantity, found: list[Look]) -> str:
    return judged(quantity, found, found[-1].seconds, 1.0).verdict


def test_a_leak_is_found_through_noise() -> None:
    rough = noise(2.0)
    assert verdict_of(MEMORY, looks(lambda seconds: 100 + 20 * seconds / HOUR + rough(seconds))) == GROWS


def test_what_is_level_is_flat() -> None:
    rough = noise(2.0)
    assert verdict_of(MEMORY, looks(lambda seconds: 100 + rough(seconds))) == FLAT
    assert verdict_of(MEMORY, looks(lambda seconds: 100.0)) == FLAT
    assert verdict_of(MEMORY, looks(lambda seconds: 100 - 20 * seconds / HOUR)) == FLAT  # less is no leak


def test_growth_that_ends_with_the_warm_up_is_none() -> None:
    rough = noise(0.5)
    assert verdict_of(MEMORY, looks(lambda seconds: 50 + 50 * min(1, seconds / 800) + rough(seconds))) == FLAT


def test_a_sawtooth_is_flat_and_one_that_rises_grows() -> None:
    for period in (20.0, 100.0, 240.0):  # within a window, of the length of some windows
        assert verdict_of(MEMORY, looks(lambda seconds: 100 + 4 * (seconds % period) / period)) == FLAT, period
        rising = looks(lambda seconds: 100 + 4 * (seconds % period) / period + 30 * seconds / HOUR)
        assert verdict_of(MEMORY, rising) == GROWS, period


@pytest.mark.parametrize("seconds", [0.5, 10.0, 60.0])
def test_too_short_is_not_flat(seconds: float) -> None:
    rough = noise(0.5)
    assert verdict_of(MEMORY, looks(lambda at: 100 + rough(at), seconds)) == UNTOLD
    # Not one descriptor more in a minute is 60 in an hour for all we know.
    assert verdict_of(DESCRIPTORS, looks(lambda at: 20, seconds, "descriptors")) == UNTOLD
    assert verdict_of(DESCRIPTORS, looks(lambda at: 20, HOUR, "descriptors")) == FLAT


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_few_looks_tell_nothing(count: int) -> None:
    found = [Look(600.0 * number, False, {"memory": 100.0}) for number in range(count)]
    assert judged(MEMORY, found, HOUR, 1.0).verdict == UNTOLD


def test_what_hangs_together_is_told_with_less_certainty() -> None:
    """A walk at random goes somewhere, and means nothing by it."""
    rng, wrong = Random(3), 0
    for _ in range(20):
        place, walk = 0.0, []
        for number in range(1_000):
            place += rng.gauss(0, 0.35)  # some 11 MiB from the beginning after an hour
            walk.append(Look(3.6 * number, False, {"memory": 100 + place}))
        wrong += judged(MEMORY, walk, HOUR, 1.0).verdict == GROWS
    assert wrong <= 1, wrong  # without the correction 5


def test_a_process_that_leaks_and_is_replaced_is_found_in_its_lives() -> None:
    rough = noise(0.5)
    leaking = looks(lambda seconds: 50 + 100 * (seconds % 300) / HOUR + rough(seconds), life=300)
    assert verdict_of(WORKERS, leaking) == GROWS
    assert verdict_of(MEMORY, leaking) != GROWS
    starting = looks(lambda seconds: 50 - 20 * math.exp(-(seconds % 300) / 10) + rough(seconds), life=300)
    assert verdict_of(WORKERS, starting) != GROWS  # a process that has just begun


def test_the_interval_holds_the_slope() -> None:
    rng, held = Random(11), 0
    for _ in range(60):
        found = trend([[(9.0 * number, number / 400 + rng.gauss(0, 1)) for number in range(400)]], HOUR)
        assert found is not None
        held += found.low <= 1.0 <= found.high
    assert held >= 57, held


def report(growth: float, seconds: float = HOUR) -> SoakReport:
    """Of a soak in which all is level but the descriptors."""
    at = [seconds * number / 1_000 for number in range(1_001)]
    made = [Look(each, False, {q.name: 50.0 for q in QUANTITIES} | {"descriptors": 50 + int(growth * each / HOUR)}) for each in at]
    return SoakReport(Report({}, {}), 1.0, {}, made)


@pytest.mark.parametrize("growth, seconds, status, says", [
    (0, HOUR, 0, "flat, through 0 faults"),
    (40, HOUR, 1, "falls short, through 0 faults in 0 storms: descriptors grows"),
    (0, 60.0, 7, "too short to tell"),
    (40_000, 60.0, 1, "descriptors grows"),
])  # fmt: skip
def test_verdicts(growth: float, seconds: float, status: int, says: str) -> None:
    found = report(growth, seconds)
    assert found.verdict[0] == status and says in found.verdict[1]
    assert found.to_json()["ok"] is (status == 0) and found.to_json()["exit"] == status


def test_nothing_seen_is_no_verdict() -> None:
    empty = SoakReport(Report({}, {}), 1.0, {})
    assert empty.verdict == (7, "nothing was looked at") and not empty.to_json()["ok"]


def test_interrupted_or_wrong_it_is_never_ok() -> None:
    found = report(0)
    found.chaos.interrupted = True
    assert found.verdict == (1, "interrupted, until then: flat, through 0 faults in 0 storms")
    found.chaos.defect(Defect("lost commit", "because"))
    assert found.verdict == (6, "lost commit: because")


def test_storms_come_at_the_end_of_cycles_and_seldom_kill_the_engine() -> None:
    plan = SoakPlan(seconds=3600)
    assert [plan.storm(at) for at in (0, 200, 250, 299, 301, 599, 3599)] == [None, None, 1, 1, None, 2, 12]
    assert SoakPlan(seconds=60).cycle == 10
    deadly = [storm for storm in range(1, 13) if any(fault.kills_engine for fault in plan.at(storm).faults)]  # type: ignore[union-attr]
    assert deadly == [3, 6, 9, 12]
    only = [fault for fault in all_faults() if fault.kills_engine]
    assert SoakPlan(faults=only).at(1) is None and SoakPlan(faults=only).at(3) is not None


@pytest.mark.parametrize(
    "options", [{"seconds": 0}, {"seconds": float("nan")}, {"duty": 0}, {"duty": 1.5}, {"allowance": 0}, {"keep": 1}, {"workers": 0}]
)
def test_plans_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(InputError):
        SoakPlan(**options)  # type: ignore[arg-type]


def test_a_leak_that_becomes_slower_is_found() -> None:
    assert verdict_of(MEMORY, looks(lambda seconds: 100 + 40 * math.sqrt(seconds / HOUR))) == GROWS
