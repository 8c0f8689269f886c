"""Random programs: parallel execution equals sequential execution, and the tree's root its definition."""

from __future__ import annotations

import mmap
import random
from dataclasses import replace
from typing import Any, Iterator

import effort
import pytest
from differential import (
    CACHES,
    WORKERS,
    Chain,
    Compared,
    Pools,
    check,
    loaded,
    rngs,
)
from program_vm import ProgramVM
from random_blocks import random_begin, random_block, random_gas, random_policy, random_state
from until import until

from ioi_exec import Limits
from ioi_exec.execution import parallel
from ioi_exec.execution.executor import Outcome
from ioi_exec.execution.parallel import ParallelExecutor

BLOCKS = effort.amount("IOI_BLOCKS", sample=1_500, many=20_000)
RESTLESS_BLOCKS = BLOCKS // 10
TINY_BLOCKS = max(75, BLOCKS // 30)
BLOCKS_PER_STATE = 25
SHARES = effort.amount("IOI_SHARES", sample=2, many=10)  # the run in parts, so that progress shows and a failure says where

VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"decode": True},
    {"hints": "right", "ends": True},
    {"decode": True, "hints": "right"},
    {"decode": True, "hints": "wrong", "ends": True},
    {"hints": "fails"},
    {"hints": "none", "ends": True},
)
# Small enough that programs run into them.
TIGHT = Limits(key_bytes=32, value_bytes=64, tx_keys=4, tx_write_bytes=60, checkpoint_depth=2, output_bytes=9)
ROOMY = Limits(key_bytes=32, value_bytes=2600)
NARROW = Limits(key_bytes=4, value_bytes=2600)  # the state holds longer keys, from before


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()


def run_on_one_state(name: str, rng: random.Random, pools: Pools, blocks: int, **vm: Any) -> None:
    """Blocks on one state: some committed, some staged beside each other, some in sandboxes inside each other."""
    keys = rng.choice((2, 3, 5, 20))
    limits = rng.choices((ROOMY, TIGHT, NARROW), (8, 2, 1))[0]
    limits = replace(limits, gas=random_gas(rng))
    vm.update(begin=random_begin(rng, keys), asks=rng.random() < 0.3, **rng.choice(VARIANTS))
    compared = Compared(loaded(ProgramVM, keys=keys, **vm), limits, pools)
    chain = Chain(random_state(rng, keys), rng.choice(CACHES))
    counts = rng.sample(WORKERS, 3)
    try:
        for number in range(blocks):
            if rng.random() < 0.15:
                chain.enter_sandbox()
            elif len(chain.layers) > 1 and rng.random() < 0.1:
                chain.leave_sandbox()
            chain.policy = random_policy(rng)
            outcome = check(compared, chain, random_block(rng, keys), rng.sample(counts, 2), f"{name} block {number}")
            staged = chain.stage(outcome)
            if rng.random() < 0.5:
                chain.commit(outcome, staged)
    finally:
        compared.close()
        chain.close()


@pytest.mark.sampled
@pytest.mark.parametrize("share", range(SHARES))
def test_random_blocks(pools: Pools, share: int) -> None:
    seed = effort.seed(1)
    for name, rng in rngs(seed * 1000 + share, BLOCKS // SHARES // BLOCKS_PER_STATE):
        run_on_one_state(name, rng, pools, BLOCKS_PER_STATE)


@pytest.mark.sampled
def test_random_blocks_of_transactions_that_overlap(pools: Pools) -> None:
    for name, rng in rngs(effort.seed(2), RESTLESS_BLOCKS // BLOCKS_PER_STATE):
        run_on_one_state(name, rng, pools, BLOCKS_PER_STATE, restless=True)


@pytest.mark.sampled
def test_random_blocks_that_outgrow_their_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arena of one page that grows page by page: blocks are abandoned as full wherever that can happen, and run again."""
    monkeypatch.setattr(parallel, "GUESS_PER_TRANSACTION", 0)
    monkeypatch.setattr(ParallelExecutor, "_roomier", lambda self, reserved: reserved + mmap.PAGESIZE)
    full = []
    run = ParallelExecutor.run

    def counted(self: ParallelExecutor, *arguments: Any) -> Outcome:
        outcome = run(self, *arguments)
        full.append(outcome.stats.retries)
        return outcome

    monkeypatch.setattr(ParallelExecutor, "run", counted)
    pools = Pools(initial_bytes=1)
    try:
        states = rngs(effort.seed(3))
        for _ in until(lambda: sum(full) > TINY_BLOCKS // 15, TINY_BLOCKS // BLOCKS_PER_STATE):
            run_on_one_state(*next(states), pools, BLOCKS_PER_STATE, bulk=200)
            pools.start_afresh()
    finally:
        pools.close()
