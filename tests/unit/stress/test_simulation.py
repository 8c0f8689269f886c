"""The core in virtual time: what can be known of it beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ioi_exec import InputError, InputTypeError
from ioi_exec.block.record import EVENT, READ, WRITE, Record
from ioi_exec.policy import Policy
from ioi_stress import Costs, _simulation, simulate
from ioi_stress.cli.simulate import _workers
from ioi_stress.simulation import plays
from ioi_stress.simulation.blocks import accessed, block_of
from ioi_stress.simulation.result import believed
from ioi_stress.workloads import make

COSTS = Costs(jitter=0)


def block(name: str, **parameters: object) -> object:
    return block_of(make(name, **parameters), 0, COSTS)


def play(prepared: object, workers: int, costs: Costs = COSTS, scheduler: str | None = None, seed: int = 1, policy: str = "default") -> dict[str, int]:
    return _simulation.play(prepared, scheduler, workers, Policy.named(policy).of_core(), 1000, 75_000, seed, costs.of_core())


def test_what_does_not_conflict_scales_until_the_scheduler_is_in_the_way() -> None:
    found = simulate(make("pairs", block_size=600, cost_us=100), workers=(1, 4, 16), costs=COSTS, seeds=2)
    for point in found.points:
        assert 0.85 * point.bound < point.worst <= point.speedup <= point.bound
        assert point.executions == 1 and point.predictable
        assert point.useful + point.wasted + point.waiting + point.scheduling == pytest.approx(1)


def test_a_chain_is_no_faster_than_its_bound() -> None:
    found = simulate(make("chain", block_size=300), workers=(1, 8), costs=COSTS, seeds=2)
    assert found.path_ns == 300 * (10_000 + COSTS.work) and found.sequential_ns == 300 * (10_000 + COSTS.sequential)
    assert found.at(8).bound < 1 and 0.8 < found.at(8).speedup <= 1


def test_the_same_seed_is_the_same_play() -> None:
    prepared = block("zipf", block_size=300)
    jittered = Costs(jitter=50)
    assert play(prepared, 8, jittered) == play(prepared, 8, jittered)
    assert play(prepared, 8, jittered) != play(prepared, 8, jittered, seed=2)


def test_dear_lines_and_wakes_make_it_slower_and_free_ones_faster() -> None:
    prepared = block("uniform", block_size=400, accounts=1_000)
    elapsed = [play(prepared, 16, Costs(jitter=0, line=line))["elapsed"] for line in (0, 100, 400)]
    assert elapsed == sorted(elapsed) and elapsed[0] < elapsed[2] / 1.5
    wakes = [play(prepared, 16, Costs(jitter=0, wake=wake))["elapsed"] for wake in (0, 10_000)]
    assert wakes[0] < wakes[1]


def test_a_line_that_is_fought_over_is_not_predictable() -> None:
    found = simulate(make("pairs", block_size=1_000, cost_us=1), workers=(2, 16), costs=COSTS, seeds=1)
    assert [point.predictable for point in found.points] == [True, False]
    assert "not predictable" in str(found) and "an upper bound" in str(found)


def test_beyond_what_cannot_be_believed_nothing_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert believed({32: 0.1, 1: 0, 8: 0.6, 4: 0.5}) == {1: True, 4: True, 8: False, 32: False}
    busy = {2: 0.1, 8: 0.6, 32: 0.2}  # as where so many are stopped that the lines are free again
    point_of = plays.point_of
    monkeypatch.setattr(plays, "point_of", lambda count, *rest: replace(point_of(count, *rest), line_busy=busy[count]))
    found = simulate(make("uniform", block_size=100, cost_us=1), workers=tuple(busy), costs=COSTS, seeds=1)
    assert [point.predictable for point in found.points] == [True, False, False]
    assert "not predictable, as fewer workers were not" in str(found)


def test_baselines_stand_where_they_must() -> None:
    prepared = block("uniform", block_size=500, accounts=50, cost_us=100)
    sequential, path = _simulation.bounds(prepared, COSTS.of_core())
    assert play(prepared, 8, scheduler="sequential")["elapsed"] == pytest.approx(500 * (100_000 + COSTS.work), rel=0.01)
    oracle, engine = play(prepared, 8, scheduler="oracle"), play(prepared, 8)
    assert path <= oracle["elapsed"] < engine["elapsed"] and oracle["executions"] == 500
    assert oracle["elapsed"] < 1.3 * max(path, sequential / 8)


@pytest.mark.parametrize("policy", Policy.names())
@pytest.mark.parametrize("name", ["hot", "read-heavy", "growing", "shrinking"])
def test_every_play_ends_as_sequential_execution_does(name: str, policy: str) -> None:
    prepared = block(name, block_size=150)
    for workers in (1, 3, 16):
        play(prepared, workers, policy=policy)  # raises if it does not


def test_later_blocks_begin_from_what_those_before_wrote() -> None:
    workload = make("uniform", block_size=20, blocks=2, accounts=4)
    first, second = (block_of(workload, number, COSTS) for number in (0, 1))
    assert play(first, 2) and play(second, 2)
    with pytest.raises(InputError, match="there is no block 2"):
        block_of(workload, 2, COSTS)


def test_what_scans_or_adds_or_is_no_program_is_recorded_and_simulated_as_it_went() -> None:
    adds = make("hot", share=1.0, credit="add", block_size=40)
    for workload in (make("scan-heavy", block_size=40), adds, make("uniform", vm="payments", accounts=10, block_size=40)):
        found = simulate(workload, workers=(4,), costs=COSTS, seeds=1)
        assert found.transactions == 40 and found.at(4).executions >= 1 and found.path_ns > 0


def test_adds_meet_only_in_who_reads_the_sum() -> None:
    """0 and 1 add to key 0, 2 reads it, 3 puts it, 4 adds after that, which needs 3, 5 adds and 6 reads; what end_block (7) does is left out."""
    reads = [(0, 0, -1, True), (1, 0, -1, True), (2, 0, 1, False), (4, 0, 3, True), (5, 0, -1, True), (6, 0, 5, False), (7, 0, 5, False)]
    writes = [(0, 0, False, True), (1, 0, False, True), (3, 0, False, False), (4, 0, False, True), (5, 0, False, True), (7, 0, True, False)]
    record = Record(np.zeros(0, EVENT), np.array(reads, READ), np.array(writes, WRITE), [b"sum"], 1, 7)
    value, first, second, fifth = b"00000000", b"00000000+0", b"00000000+1", b"00000000+5"
    assert list(accessed(record)) == [
        ([], [first]), ([], [second]), ([value, first, second], []), ([], [value]), ([value], [value]), ([], [fifth]), ([value, fifth], []),
    ]


def test_what_makes_no_sense_is_refused() -> None:
    workload = make("pairs", block_size=10)
    for wrong in ({"workers": (0,)}, {"workers": (129,)}, {"workers": ()}, {"seeds": 0}, {"scheduler": "nothing"}, {"block": 7}):
        with pytest.raises(InputError):
            simulate(workload, costs=COSTS, **wrong)
    with pytest.raises(InputError):
        simulate(workload, costs=COSTS, scheduler="oracle", policy=Policy.named("paper"))
    with pytest.raises(InputTypeError):
        simulate(workload, costs=COSTS, workers=("4",))
    with pytest.raises(InputError):
        Costs(line=-1)
    with pytest.raises(InputTypeError):
        Costs(line=1.5)


def test_numbers_of_workers_as_they_are_written() -> None:
    assert _workers("1..128") == [1, 2, 4, 8, 16, 32, 64, 128]
    assert _workers("3,6..20") == [3, 6, 8, 16, 20]
    for wrong in ("0", "129", "a", "1..", "..4", ""):
        with pytest.raises(InputError):
            _workers(wrong)
