"""Conflicts counted against the simulation that caused them, and what is said about blocks of known kinds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from simulated_schedule import READ_NS, Tx, random_block, simulate

from ioi_exec.block.record import EventKind
from ioi_exec.vm import StateView, TxContext
from ioi_stress.explaining.advice import advice
from ioi_stress.explaining.conflicts import by_key, pairs
from ioi_stress.explaining.explanation import Explanation
from ioi_stress.explaining.report import report
from ioi_stress.plan import Plan
from ioi_stress.running.recording import Recording
from ioi_stress.tracing.timeline import FETCHING, FIRST, IDLE, WAITING, Timeline


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


def test_one_long_transaction_beside_short_ones_that_depend_on_each_other() -> None:
    found = explained([*[Tx((0,), (0,))] * 3, Tx((), (5,), 90_000)], 2)
    assert found.path.transactions == [3] and not found.path_keys and not found.independent
    assert any("Transaction 3 alone takes" in sentence for sentence in advice(found))
    assert "no chain of others takes longer" in report(found, 3)
    assert not any("No transaction read" in sentence for sentence in advice(found))


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
    assert any("only 2.00 times as fast: key/1 makes a chain as long (0.040 ms)." in sentence for sentence in advice(found))
    assert found.to_json(1)["critical_path"]["by_key"][0]["path_without"] == [{"key": b"key/1".hex(), "name": "key/1"}]


def test_without_the_key_one_transaction_is_as_long() -> None:
    found = explained([*[Tx((0,), (0,), 1_000)] * 20, Tx((), (1,), 19_000)], 2)
    assert any("transaction 20 alone takes as long" in sentence for sentence in advice(found)), advice(found)


@pytest.mark.parametrize(
    "sequential, parallel, had",
    [
        ([9.0, 5.0, 8.0], [2.6, 2.4, 2.5], 5 / 2.4),  # medians would say 3.2
        ([5.0, 5.0, 5.0], [4.0, 2.6, 6.0], 5 / 2.6),
    ],
)
def test_both_sides_of_a_ratio_are_the_least_and_nothing_is_above_its_bound(
    sequential: list[float], parallel: list[float], had: float
) -> None:
    found = explained([Tx((), (key,)) for key in range(10)], 2)
    recording = replace(found.recording, sequential=sequential, parallel=parallel)
    found = Explanation.of(recording)
    assert found.had == pytest.approx(had) and found.beyond == (had > 2)
    assert all(each.at_most >= found.had for each in found.bounds if each.cores >= 2)
    assert found.best >= found.possible.at_most >= found.had
    text = report(found, 3)
    assert ("It did better than the model allows" in text) == (had > 2)
    assert "each the least of 3" in text


def test_a_busy_machine_is_said() -> None:
    found = explained([Tx((), (key,)) for key in range(10)], 2)
    assert "busy" not in "".join(advice(found)) and "cores for 0.0% of the time of 1 record," in report(found, 3)
    record, event = found.recording.record, found.recording.record.events[:1].copy()
    took = found.timeline.duration  # and after it the last worker lost its core for as long again
    event["kind"], event["start"], event["end"], event["worker"] = EventKind.PREEMPTED, took, 2 * took, 1
    disturbed = replace(record, events=np.concatenate([record.events, event]))
    found = Explanation.of(replace(found.recording, records=[record, disturbed]))
    assert "The machine was busy: other processes had the workers' cores for 17% of the time" in advice(found)[0]
    assert found.to_json(1)["preempted_share"] == pytest.approx(1 / 6)


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
