"""Conflicts counted against the simulation that caused them, and what is said about blocks of known kinds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from simulated_schedule import READ_NS, Tx, random_block, simulate

from ioi_exec.vm import StateView, TxContext
from ioi_stress.explain.advice import advice
from ioi_stress.explain.conflicts import by_key, pairs
from ioi_stress.explain.explanation import Explanation
from ioi_stress.explain.report import report
from ioi_stress.plan import Plan
from ioi_stress.running.recording import Recording
from ioi_stress.trace.timeline import FETCHING, FIRST, IDLE, WAITING, Timeline


def explained(txs: list[Tx], workers: int, keys: int = 10) -> Explanation:
    record, _ = simulate(txs, workers, keys)
    sequential = sum(tx.cost + len(tx.reads) * READ_NS for tx in txs) / 1e9
    parallel = float(record.events["end"].max()) / 1e9
    stats = SimpleNamespace(busy_seconds=[parallel] * workers, seconds={"execute": parallel}, mode="parallel")
    result: Any = SimpleNamespace(failed=0, state_root=b"r" * 32, stats=stats)
    workload: Any = SimpleNamespace(name="simulated", parameters={"seed": 1}, vm="payments", vm_args=None)
    return Explanation.of(
        Recording(workload, 0, Plan(), result, record, [record], [sequential], [parallel], [parallel])
    )


@pytest.mark.parametrize("seed", range(6))
def test_counts(seed: int) -> None:
    record, truth = simulate(random_block(seed), workers=2 + seed % 3)
    timeline = Timeline.of(record)
    found = by_key(timeline)
    assert {each.key: each.aborts for each in found if each.aborts} == Counter(key for _, _, key, _ in truth.aborts)
    assert {each.key: each.waited for each in found if each.suspensions} == truth.waits
    assert sum(each.wasted for each in found) == truth.lost and sum(each.cuts for each in found) == truth.cut
    assert [each.lost for each in found] == sorted((each.lost for each in found), reverse=True)
    for each in found:
        assert (
            each.readers == (record.reads["key"] == each.key).sum()
            and each.writers == (record.writes["key"] == each.key).sum()
        )
    expected = Counter((other, tx) for tx, _, _, other in truth.aborts if other >= 0)
    ended = pairs(timeline)
    assert {(pair.writer, pair.reader): pair.aborts for pair in ended} == expected
    assert all(sum(pair.keys.values()) == pair.aborts for pair in ended)


def test_a_chain() -> None:
    found = explained([Tx((0,), (0,))] * 40, 2)
    assert found.best == pytest.approx(1) and found.path.transactions == list(range(40)) and found.path.keys == [0] * 39
    assert found.path_keys[0].best_without == pytest.approx(40) and found.path_keys[0].steps == 39
    said = advice(found)
    assert "one chain" in said[0] and "on any number of cores" in said[0]
    assert any("goes through key/0" in sentence and "40.0 times" in sentence for sentence in said)
    assert any("100% of it is on key/0" in sentence for sentence in said)
    text = report(found, 3)
    assert "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> ... -> 34" in text and "and" in text.split("Who aborted whom")[1]


def test_no_conflict() -> None:
    found = explained([Tx((), (key,)) for key in range(10)], 2)
    assert found.best == pytest.approx(10) and found.lost == 0 and found.wasted == 0 and not found.keys
    said = advice(found)
    assert "10.0 times as fast" in said[0]
    assert any("Next to nothing was lost" in sentence for sentence in said)
    assert any("No transaction read what another" in sentence for sentence in said)
    assert "No key caused a conflict" in report(found, 5) and "longest transaction alone" in report(found, 5)


def test_two_chains_that_cover_for_each_other() -> None:
    """Without the one key the other's chain is as long: nothing to gain from it alone."""
    found = explained([Tx((tx % 2,), (tx % 2,)) for tx in range(40)], 2)
    assert found.best == pytest.approx(2, rel=0.01)
    assert found.path_keys[0].best_without == pytest.approx(2, rel=0.01)
    assert any("other keys make chains as long" in sentence for sentence in advice(found))


def slow(share: str, vm: Any = "payments") -> Explanation:
    """A chain at half the speed it could have had; nearly all time went into `share`."""
    found = explained([Tx((0,), (0,))] * 40, 2)
    workload: Any = SimpleNamespace(name="simulated", parameters={}, vm=vm, vm_args=None)
    recording = replace(found.recording, workload=workload, parallel=[2 * each for each in found.recording.parallel])
    return replace(found, recording=recording, shares={**dict.fromkeys(found.shares, 0), share: 9, FIRST: 1})


class Silent:
    version = "1"

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        return b""


class Speaking(Silent):
    def keys(self, tx: bytes) -> list[bytes]:
        return []


@pytest.mark.parametrize("vm, can", [("payments", False), (Speaking, False), (Silent, True)])
def test_advice_where_most_time_goes_into_reading(vm: Any, can: bool) -> None:
    (sentence,) = [sentence for sentence in advice(slow(FETCHING, vm)) if "Reading committed values" in sentence]
    assert "took 90% of" in sentence and ("keys(tx)" in sentence) == can


@pytest.mark.parametrize(
    "share, sentence",
    [(IDLE, "idle for 90% of the time: the dependencies leave"), (WAITING, "for 90% of the time; --policy no-estimates")],
)
def test_advice_where_most_time_is_lost(share: str, sentence: str) -> None:
    said = advice(slow(share))
    assert any(sentence in each for each in said), said


def test_bounds_name_this_block_and_the_json_says_all() -> None:
    found = explained(random_block(5), 3)
    assert found.possible.cores == 3 and 3 in [each.cores for each in found.bounds]
    value = json.loads(json.dumps(found.to_json(top=2)))
    assert value["format"] == "ioi-stress/explain/1" and value["transactions"] == 60
    assert value["speedup"]["best"] == pytest.approx(value["work_ns"] / value["critical_path"]["ns"])
    assert len(value["keys"]) == len(value["pairs"]) == 2 and value["conflicting_keys"] > 2
    assert bytes.fromhex(value["keys"][0]["key"]).decode() == value["keys"][0]["name"]
    path = value["critical_path"]
    assert len(path["transactions"]) == len(path["keys"]) + 1 and len(path["by_key"]) <= 2
    assert sum(map(sum, value["worker_ns"].values())) == 3 * value["duration_ns"]
    assert value["counts"]["aborts"] == sum(each.aborts for each in found.keys)
