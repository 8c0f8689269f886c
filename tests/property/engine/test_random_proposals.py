"""A block that was proposed is a block like any other: what is left of random candidates, executed plainly anywhere, gives the same; and
what is left is what a proposer who tries one candidate after another would take."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from typing import Any, Iterator, Mapping

import effort
import pytest
from differential import rngs
from mixed_vm import GAS, MixedVM, mixed_block
from random_blocks import random_state

from ioi_exec import BlockResult, ExecutionMachine, GasSchedule, LimitExceeded, Limits, Proposal, StateView, TxContext, VMFault
from ioi_exec.execution.executors import SharedPools
from ioi_exec.execution.proposing import ROUNDS

BLOCKS = effort.amount("IOI_PROPOSED_BLOCKS", sample=40, many=80)
BLOCKS_PER_STATE = 5
WORKERS = (0, 1, 2, 4)
LIMITS = Limits(key_bytes=32, value_bytes=2600)


class FaultyVM(MixedVM):
    """Some of its transactions stop the block."""

    def __init__(self, faults: int, **args: Any) -> None:
        super().__init__(**args)
        self.faults = faults

    def execute(self, tx: Any, state: StateView, ctx: TxContext) -> bytes | None:
        if self.faults and zlib.crc32(repr(tx).encode()) % self.faults == 0:
            raise MemoryError("planted")
        return super().execute(tx, state, ctx)


@pytest.fixture(scope="module")
def pools() -> Iterator[SharedPools]:
    pools = SharedPools()
    yield pools
    pools.close()


def same(one: BlockResult, other: BlockResult) -> bool:
    return (one.state_root, one.receipts_root, one.receipts, one.txs, one.header, list(one.writes), one.end) == (
        other.state_root, other.receipts_root, other.receipts, other.txs, other.header, list(other.writes), other.end
    )


def dropped_before_the_cut(result: BlockResult) -> dict[int, str]:
    """What is behind the last that is included may have been tried or not, as it came."""
    return {index: why.kind for index, why in result.dropped.items() if index < max(result.included, default=0)}


def taken_one_by_one(
    machine: ExecutionMachine, candidates: list[bytes], proposal: Proposal, without: Mapping[int, object]
) -> tuple[list[int], dict[int, str]]:
    """included, and kinds of what was dropped. without: those that the proposal dropped, each behind others that it still had then."""
    included: list[int] = []
    dropped: dict[int, str] = {}
    for index, tx in enumerate(candidates):
        if index in without:
            continue
        if proposal.max_bytes is not None and len(tx) > proposal.max_bytes:
            dropped[index] = "size"
            continue
        trial = [candidates[i] for i in included] + [tx]
        if proposal.max_bytes is not None and sum(map(len, trial)) > proposal.max_bytes:
            break
        try:
            receipts = machine.execute(trial).receipts
        except VMFault:
            dropped[index] = "fault"
        except LimitExceeded:
            break
        else:
            if receipts[-1].refused:
                dropped[index] = "refused"
            else:
                included.append(index)
    return included, dropped


def play(name: str, rng: random.Random, pools: SharedPools, seen: set[str]) -> None:
    keys = rng.choice((2, 5, 20))
    gas: GasSchedule | None = rng.choice(GAS)
    if gas is not None:
        gas = replace(gas, block_limit=rng.choice((400, 1_500, 100_000)))
    args = dict(
        faults=rng.choice((0, 5, 30)), keys=keys, ante=rng.random() < 0.8, limits=rng.random() < 0.7, decode=rng.random() < 0.5,
        ends=rng.random() < 0.5, hints="",
    )
    genesis = random_state(rng, keys)
    machines = [
        ExecutionMachine.create(
            None, FaultyVM, vm_args=args, genesis=genesis, workers=workers, pin=False, gas=gas, executors=pools.executors(), limits=LIMITS
        )
        for workers in WORKERS
    ]
    try:
        for number in range(BLOCKS_PER_STATE):
            candidates = mixed_block(rng, keys)
            proposal = Proposal(max_bytes=rng.choice((None, 300, 2_000)))
            said = f"seed {name}, block {number}: {args} {gas} {proposal}\n{candidates!r}"
            proposed = [machine.execute(candidates, propose=proposal) for machine in rng.sample(machines, 2)]
            first = proposed[0]
            assert first.txs == [candidates[index] for index in first.included], said
            # Rounds may run out on what lies behind the cut, which workers come to and one after another does not.
            in_time = all([why.kind for why in result.dropped.values()].count("fault") < ROUNDS // 2 for result in proposed)
            if in_time:
                assert same(*proposed) and proposed[0].included == proposed[1].included, said
                assert dropped_before_the_cut(proposed[0]) == dropped_before_the_cut(proposed[1]), said
            assert not any(receipt.refused for receipt in first.receipts), said
            seen |= {why.kind for why in first.dropped.values()} | {"cut"} if len(first.included) + len(first.dropped) < len(candidates) else set()
            if in_time:
                included, dropped = taken_one_by_one(machines[0], candidates, proposal, first.dropped)
                assert first.included == included, said
                assert all(index > max(included, default=-1) for index in dropped), said
            for machine in machines:
                plain = machine.execute(first.txs)
                assert same(plain, first), f"{machine.workers} workers, {said}"
                staged = [result for result in proposed if result.layer is machine._store and same(result, first)]
                machine.commit(staged[0] if staged else plain)
                assert machine.root == first.state_root and machine.info.height == first.height, said
    finally:
        for machine in machines:
            machine.close()


@pytest.mark.sampled
def test_random_candidates(pools: SharedPools) -> None:
    seen: set[str] = set()
    for name, rng in rngs(effort.seed(6), BLOCKS // BLOCKS_PER_STATE):
        play(name, rng, pools, seen)
    assert effort.long or seen == {"refused", "fault", "size", "cut"}
