"""How the engine chooses between all workers and one by one, from what blocks took; and that results are the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ioi_exec import ExecutionMachine, Policy
from ioi_exec.block.result import Stats
from ioi_exec.execution.choosing import COSTS, FEW, TRIES, TRY_FIRST, Choice
from tools.bench.workloads import PaymentsLoad

pytestmark = pytest.mark.usefixtures("chooses")


def play(choice: Choice, blocks: int, size: int, cost: dict[bool, float], busy: float = 1.0) -> list[bool]:
    """So many blocks, a transaction of which takes so many seconds by way. The ways chosen."""
    ways = []
    for _ in range(blocks):
        alone, why = choice.alone(size)
        assert why
        choice.took(size, alone, size * cost[alone], Stats(executions=size, busy_seconds=[size * busy]))
        ways.append(alone)
    return ways


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("better", [True, False])
def test_the_faster_way_is_found_and_kept(here: bool, better: bool) -> None:
    cost = {better: 1e-4, not better: 2e-4}
    ways = play(Choice(here), 5000, 1000, cost, busy=1e-4)
    assert ways[-1] is better
    lost = sum(way is not better for way in ways)
    assert lost <= 5000 // 100, "trying the other way costs more than a hundredth"


@pytest.mark.parametrize("here", [True, False])
def test_a_way_that_becomes_faster_is_noticed(here: bool) -> None:
    choice = Choice(here)
    play(choice, 100, 1000, {True: 1e-4, False: 1.3e-4}, busy=1e-4)
    ways = play(choice, 400, 1000, {True: 1e-4, False: 0.5e-4}, busy=1e-4)
    assert sum(ways[-50:]) <= TRIES
    ways = play(choice, 400, 1000, {True: 1e-4, False: 1.3e-4}, busy=1e-4)
    assert sum(ways[-50:]) >= 50 - TRIES


def test_equal_ways_are_not_changed_for_nothing() -> None:
    rng = random.Random(5)
    choice, changes, before = Choice(True), 0, True
    for _ in range(1000):
        alone, _ = choice.alone(1000)
        changes += alone is not before
        before = alone
        choice.took(1000, alone, rng.uniform(0.99, 1.01), Stats(executions=1000, busy_seconds=[1.0]))
    assert changes <= 2 * 1000 // TRY_FIRST + 2


def test_blocks_that_other_work_disturbed_decide_little() -> None:
    rng = random.Random(6)
    choice, worse = Choice(True), 0
    for _ in range(2000):
        alone, _ = choice.alone(1000)
        worse += not alone
        each = (1e-4 if alone else 1.5e-4) * (rng.choice((2.0, 5.0)) if rng.random() < 0.3 else rng.uniform(1, 1.05))
        choice.took(1000, alone, 1000 * each, Stats(executions=1000, busy_seconds=[1.0]))
    assert worse <= 2000 / 10


def test_a_hopeless_way_is_tried_once() -> None:
    assert play(Choice(True), TRY_FIRST, 1000, {True: 1e-4, False: 1e-3}).count(False) == 1


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize("times", [1.05, 1.33, 1.9, 3.0, 20.0])
def test_a_try_is_paid_for_before_the_next(here: bool, times: float) -> None:
    better = here
    cost = {better: 1e-4, not better: times * 1e-4}
    ways = play(Choice(here), 4000, 1000, cost, busy=5e-5)
    first = ways.index(not better)
    lost, paid = 0.0, 0
    for way in ways[first:]:
        if way is better:
            paid += 1
        else:
            if paid:  # another try begins
                assert paid * COSTS >= lost - 1e-9, (times, lost, paid)
                lost, paid = 0.0, 0
            lost += times - 1
    assert sum(way is not better for way in ways) * (times - 1) <= 0.03 * len(ways)


@pytest.mark.parametrize("better", [True, False])
def test_the_first_block_of_a_way_says_nothing_about_it(better: bool) -> None:
    choice, seen, ways = Choice(True), {True: 0, False: 0}, []
    for _ in range(40):
        alone, _ = choice.alone(1000)
        each = (1e-4 if alone is better else 1.2e-4) * (1.5 if seen[alone] == 0 else 1.0)
        seen[alone] += 1
        choice.took(1000, alone, 1000 * each, Stats(executions=1000, busy_seconds=[1.0]))
        ways.append(alone)
    assert all(way is better for way in ways[2 * TRIES : 2 * TRIES + TRY_FIRST]), ways


def test_few_transactions_of_a_built_in_vm_wake_nobody() -> None:
    assert all(play(Choice(True), 200, FEW, {True: 1.0, False: 0.1}))


def test_cheap_blocks_of_another_vm_are_one_workers_once_their_cost_is_known() -> None:
    choice = Choice(False)
    assert play(choice, 4, 10, {True: 1e-5, False: 5e-5}, busy=5e-6) == [False, True, True, True]
    assert play(choice, 3, 1000, {True: 1e-5, False: 5e-6}, busy=1e-5) == [False, False, False]


def test_one_size_says_nothing_about_another() -> None:
    choice = Choice(True)
    play(choice, 50, 1000, {True: 1e-4, False: 0.5e-4})
    assert choice.alone(1000)[0] is False and choice.alone(100_000)[0] is True


def test_a_block_without_transactions_teaches_nothing() -> None:
    choice = Choice(False)
    choice.took(0, False, 1.0, Stats(busy_seconds=[1.0]))
    assert choice.alone(0) == (False, "not measured yet")


@pytest.mark.parametrize("size", [0, 1, 10, FEW + 1])
def test_payments_give_the_same_whichever_way(size: int) -> None:
    load = PaymentsLoad(20)
    txs = load.block(size)
    with ExecutionMachine.create(None, "payments", genesis=load.genesis(), workers=2, pin=False) as machine:
        expected = machine.execute(txs, sequential=True)
        for _ in range(3):
            found = machine.execute(txs)
            assert (found.state_root, found.receipts_root, found.writes) == (expected.state_root, expected.receipts_root, expected.writes)
            assert found.stats.why == found.stats.to_json()["why"] != ""
        every = machine.execute(txs, policy=Policy.named("all-workers"))
        assert every.stats.why == "" and every.state_root == expected.state_root
        assert machine.worker_pids or not size


def test_few_payments_start_no_worker() -> None:
    load = PaymentsLoad(20)
    with ExecutionMachine.create(None, "payments", genesis=load.genesis(), workers=2, pin=False) as machine:
        for _ in range(5):
            result = machine.execute(load.block(20))
            machine.commit(result)
            assert (result.stats.mode, result.stats.workers) == ("sequential", 0)
        assert not machine.worker_pids


class Chain:
    """Each transaction needs what the one before wrote."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(b"count", b"%d" % (int(state.get(b"count") or b"0") + 1))


def test_a_vm_of_ones_own_never_executes_in_this_process() -> None:
    with ExecutionMachine.create(None, Chain, workers=2, pin=False) as machine:
        for size in (1, 5, 50, 1000, 1, 5, 50, 1000):
            result = machine.execute([b""] * size)
            stats = result.stats
            assert stats.workers in (1, 2) and stats.mode in ("solo", "parallel") and stats.why
            assert result.state_root == machine.execute([b""] * size, sequential=True).state_root
            machine.commit(result)


def test_what_is_recorded_is_what_all_workers_did() -> None:
    load = PaymentsLoad(20)
    with ExecutionMachine.create(None, "payments", genesis=load.genesis(), workers=2, pin=False) as machine:
        result = machine.execute(load.block(20), record=True)
        assert result.record is not None and result.stats.workers == 2 and result.stats.why == ""
