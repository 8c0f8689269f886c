"""Policies: what they accept, what they do to a block, and that no result depends on them."""

from __future__ import annotations

from typing import Any

import pytest

from ioi_exec import (
    ExecutionMachine,
    InputError,
    InputTypeError,
    Policy,
    StateView,
    TxContext,
)
from ioi_exec.execution.executors import SharedPools


class Steps:
    """Adds to a counter; all transactions meet there."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        count = b"%d" % (int(state.get(b"count") or b"0") + 1)
        state.put(b"count", count)
        state.put(b"by/" + tx, count)
        return count


class Ending(Steps):
    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        state.put(b"end", b"%d" % len(receipts))


BLOCK = [b"%d" % (i % 7) for i in range(200)]


@pytest.fixture(scope="module")
def pools() -> Any:
    pools = SharedPools()
    yield pools
    pools.close()


def machine(pools: SharedPools, policy: Policy | None = None, workers: int = 3, vm: type = Steps) -> ExecutionMachine:
    return ExecutionMachine.create(None, vm, workers=workers, pin=False, executors=pools.executors(), policy=policy)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(validation="bytes"), dict(window=-1), dict(window=1 << 31), dict(run=0), dict(run=65), dict(small_block=-1),
        dict(small_block=1 << 21),
    ],
)
def test_values_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Policy.{next(iter(wrong))} is"):
        Policy(**wrong)


@pytest.mark.parametrize(
    "wrong", [dict(name=3), dict(estimates=1), dict(validation=None), dict(window="1"), dict(run=True), dict(solo=None), dict(choose=1), dict(small_block=None)]
)
def test_values_of_other_types_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputTypeError, match=f"Policy.{next(iter(wrong))} is"):
        Policy(**wrong)


def test_names() -> None:
    assert Policy.names() == ("default", "all-workers", "paper", "no-estimates", "no-solo")
    paper = Policy.named("paper")
    assert paper.to_json() == {
        "name": "paper", "estimates": True, "validation": "version", "window": 0, "run": 1, "solo": False, "choose": False,
        "small_block": 1,
    }
    assert Policy(**paper.to_json()) == paper
    with pytest.raises(InputError, match="no policy 'fast'"):
        Policy.named("fast")


def test_what_is_no_policy_is_refused(pools: SharedPools) -> None:
    wrong: Any = "paper"
    with pytest.raises(InputTypeError, match="policy is str"):
        machine(pools, wrong)
    with machine(pools) as plain, pytest.raises(InputTypeError, match="policy is str"):
        plain.execute(BLOCK, policy=wrong)


@pytest.mark.parametrize("name", [*Policy.names(), "custom"])
def test_every_policy_gives_the_same_result(pools: SharedPools, name: str) -> None:
    policy = Policy(window=3, run=7, estimates=False) if name == "custom" else Policy.named(name)
    with machine(pools, policy) as under:
        expected, found = under.execute(BLOCK, sequential=True), under.execute(BLOCK)
        assert (found.state_root, found.receipts_root, found.receipts) == (expected.state_root, expected.receipts_root, expected.receipts)
        assert under.policy is policy and found.stats.policy == found.stats.to_json()["policy"] == name
        assert expected.stats.policy == name and expected.stats.mode == "sequential"


def test_a_block_may_have_its_own(pools: SharedPools) -> None:
    with machine(pools, Policy.named("no-solo")) as under:
        assert under.execute(BLOCK, policy=Policy.named("paper")).stats.policy == "paper"
        assert under.execute(BLOCK).stats.policy == "no-solo"
    with machine(pools) as under:
        assert under.execute(BLOCK).stats.policy == "default"


def test_a_small_block_is_one_workers(pools: SharedPools) -> None:
    with machine(pools, Policy(small_block=20)) as under:
        for size, workers in ((20, 1), (21, 3), (1, 1), (5, 1), (200, 3)):
            expected, found = under.execute(BLOCK[:size], sequential=True), under.execute(BLOCK[:size])
            assert found.state_root == expected.state_root and found.receipts == expected.receipts
            assert found.stats.workers == len(found.stats.busy_seconds) == workers
            assert found.stats.mode == "solo" or size > 20


def test_no_policy_makes_a_single_worker_solo(pools: SharedPools) -> None:
    with machine(pools, workers=1) as alone:
        assert alone.execute(BLOCK[:1]).stats.mode == alone.execute(BLOCK).stats.mode == "parallel"


def test_an_empty_block_needs_a_worker_only_to_end_it(pools: SharedPools) -> None:
    with machine(pools) as plain:
        assert (plain.execute([]).stats.mode, plain.execute([]).stats.workers) == ("sequential", 0)
    with machine(pools, vm=Ending) as ending:
        found = ending.execute([])
        assert found.stats.workers == 1 and dict(found.writes) == {b"end": b"0"}
