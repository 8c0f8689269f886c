"""Intervals, summaries, and what is kept of them in files."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import pytest

from ioi_exec import InputError
from ioi_stress.results.interval import Interval
from ioi_stress.results.raw import columns, write_csv
from ioi_stress.results.result import BlockMeasurement, Repetition, Result, Verification
from ioi_stress.running.verify import verdict


def block(number: int = 0, seconds: float = 2.0, sequential: float | None = 3.0, **changed: Any) -> BlockMeasurement:
    plain: dict[str, Any] = dict(
        block=number, transactions=100, failed=4, mode="parallel", policy="default", workers=2, executions=110, validations=150,
        aborts=10, suspensions=5, retries=0, seconds={"prepare": 0.1, "execute": seconds, "stage": 0.5, "total": seconds + 1.0},
        commit_seconds=0.25, busy_seconds=[seconds, seconds / 2], state_root="ab", receipts_root="cd", memory_bytes=7,
        sequential_seconds=None if sequential is None else {"execute": sequential, "end_block": 1.0, "total": sequential + 2.0},
    )
    return BlockMeasurement(**{**plain, **changed})


RESULT = Result(
    {"workload": {"name": "w", "parameters": {}}, "run": {}}, {"cpu": "c"},
    [Repetition(1, [block(), block(1)], 9), Repetition(2, [block(seconds=1.0), block(1)], 8), Repetition(3, [block()])],
    Verification(True, 5, 5), interrupted=True,
)


@pytest.mark.parametrize("n", range(1, 40))
def test_an_interval_is_as_confident_as_it_says(n: int) -> None:
    rng = random.Random(n)
    rounds = 2_000
    true = 0.6931471805599453  # the median of an exponential distribution: nothing is normal here
    held = 0
    interval = Interval.of([0.0])
    for _ in range(rounds):
        interval = Interval.of([rng.expovariate(1) for _ in range(n)])
        held += interval.low <= true <= interval.high
    assert interval.n == n and (interval.confidence >= 0.95 or n < 6)
    if n > 1:
        share = interval.confidence
        assert abs(held / rounds - share) < 5 * (share * (1 - share) / rounds) ** 0.5 + 0.001


@pytest.mark.parametrize("n", [*range(6, 80), 500])
def test_intervals_are_those_of_scipy(n: int) -> None:
    """Which has none of fewer than six, and does not say how confident its own are."""
    stats = pytest.importorskip("scipy.stats")
    measured = [random.Random(1000 * n + i).expovariate(1) for i in range(n)]
    for confidence in (0.9, 0.95):
        interval = Interval.of(measured, confidence)
        found = stats.quantile_test(measured, q=0.5, p=0.5).confidence_interval(confidence)
        assert (interval.low, interval.high) == (found.low, found.high)
        below = sorted(measured).index(interval.low)
        assert interval.confidence == pytest.approx(1 - 2 * stats.binom.cdf(below, n, 0.5), abs=1e-12)


def test_intervals_by_hand() -> None:
    assert Interval.of([3.0]) == Interval(3.0, 3.0, 3.0, 1, 0.0)
    assert Interval.of([5, 1, 2, 4, 3]) == Interval(3, 1, 5, 5, 0.9375)
    assert Interval.of(range(1, 10)).to_json() == {"median": 5, "low": 2, "high": 8, "n": 9, "confidence": 0.9609}
    assert (Interval.of([1, 3]).spread, Interval.of([0, 0]).spread, Interval.of([-2, -2, -4]).spread) == (0.5, 0, 0.5)
    with pytest.raises(ValueError):
        Interval.of([])


def test_figures_and_which_repetitions_they_are_of() -> None:
    assert RESULT.repetitions[0].figures() == pytest.approx({
        "transactions_per_second": 200 / 6, "execute_seconds": 4.0, "stage_seconds": 1.0, "commit_seconds": 0.5,
        "executions_per_transaction": 1.1, "aborts_per_transaction": 0.1, "suspensions_per_transaction": 0.05,
        "validations_per_transaction": 1.5, "occupancy": 0.75, "speedup": 2.0, "speedup_total": 10 / 6,
    })
    summary = RESULT.summary()
    assert summary["execute_seconds"] == Interval(3.5, 3.0, 4.0, 2, 0.5)  # without the third, which is not whole
    partly = Repetition(4, [block(), block(1, sequential=None)])
    assert "speedup" not in partly.figures()
    assert "speedup" not in Result({}, {}, [RESULT.repetitions[0], partly]).summary()
    assert Result({}, {}).summary() == {} and Repetition(1, []).figures()["transactions_per_second"] == 0


def test_ok() -> None:
    assert Result({}, {}).ok and not RESULT.ok
    assert not Result({}, {}, error="VMFault: x").ok
    assert not Result({}, {}, verification=Verification(True, 2, 1)).ok and Result({}, {}, verification=Verification(False, 2, 1)).ok
    assert not Result({}, {}, verification=Verification(True, 2, 2, ["block 1"])).ok


def test_json_there_and_back() -> None:
    text = json.dumps(RESULT.to_json())
    again = Result.from_json(text, "a.json")
    assert again == RESULT and json.dumps(again.to_json()) == text


@pytest.mark.parametrize("damage", [
    lambda value: "{",
    lambda value: "[1]",
    lambda value: json.dumps({**value, "format": "ioi-stress/9"}),
    *(lambda value, name=name: json.dumps({k: v for k, v in value.items() if k != name})
      for name in ("format", "parameters", "machine", "repetitions", "verification", "interrupted")),
    *(lambda value, name=name: json.dumps({**value, name: 3}) for name in ("parameters", "machine", "repetitions", "verification")),
    lambda value: json.dumps({**value, "repetitions": [{"number": 1}]}),
    lambda value: json.dumps({**value, "repetitions": [{**value["repetitions"][0], "blocks": [{"block": 1}]}]}),
    lambda value: json.dumps({**value, "verification": {"unknown": 1}}),
    lambda value: json.dumps({**value, "parameters": {}}),
    lambda value: json.dumps({**value, "parameters": {"workload": "w", "run": 3}}),
    lambda value: json.dumps({**value, "verification": {"mismatches": 3}}),
    *(lambda value, name=name, wrong=wrong: json.dumps({**value, "repetitions": [
        {**value["repetitions"][0], "blocks": [{**value["repetitions"][0]["blocks"][0], name: wrong}]}
    ]}) for name, wrong in (
        ("seconds", {}), ("seconds", []), ("seconds", {"total": None}), ("seconds", {"total": "x"}), ("seconds", {"total": float("nan")}),
        ("seconds", {"total": -1}), ("sequential_seconds", {"total": 10**400}), ("busy_seconds", None), ("transactions", float("inf")),
        ("mode", None),
    )),
])
def test_damaged_results_are_refused_by_name(damage: Any) -> None:
    with pytest.raises(InputError, match="a.json: "):
        Result.from_json(damage(RESULT.to_json()), "a.json")


def test_csv_has_every_raw_figure() -> None:
    out = io.StringIO()
    write_csv(out, RESULT)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == columns() and len(rows) == 5
    assert [(row["repetition"], row["block"]) for row in rows] == [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1"), ("3", "0")]
    row = rows[2]
    assert (row["execute_seconds"], row["end_block_seconds"], row["busy_seconds"]) == ("1.0", "", "1.0 0.5")
    assert (row["sequential_execute_seconds"], row["sequential_end_block_seconds"], row["sequential_stage_seconds"]) == ("3.0", "1.0", "")
    assert (row["state_root"], row["memory_bytes"], row["commit_seconds"], row["policy"]) == ("ab", "7", "0.25", "default")


@pytest.mark.parametrize(
    "found, says",
    [
        (dict(wanted=False), "not verified"),
        (dict(wanted=True), "nothing to verify: no block"),
        (dict(wanted=True, executed=3, compared=2), "not all verified: 2 of 3 executions"),
        (dict(wanted=True, executed=3, compared=3), "verified: state roots and receipts of 3 executions"),
        (dict(wanted=True, executed=3, compared=3, mismatches=["x"]), "DIFFERENT: 1 of 3 executions"),
    ],
)
def test_a_verdict_claims_no_more_than_was_compared(found: dict[str, Any], says: str) -> None:
    assert verdict(Verification(**found)).startswith(says)
