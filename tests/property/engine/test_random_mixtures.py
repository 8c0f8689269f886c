"""Everything at once: an ante, events, gas, counters, scans and checkpoints; in parallel as one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Iterator

import effort
import pytest
from differential import CACHES, WORKERS, Chain, Compared, Pools, difference, loaded, rngs
from mixed_vm import GAS, MixedVM, mixed_block
from random_blocks import random_policy, random_state

from ioi_exec import Limits

BLOCKS = effort.amount("IOI_MIXED_BLOCKS", sample=300, many=1_200)
BLOCKS_PER_STATE = 20
ROOMY = Limits(key_bytes=32, value_bytes=2600)
TIGHT = Limits(key_bytes=32, value_bytes=64, tx_keys=4, tx_write_bytes=60, checkpoint_depth=2, output_bytes=9)


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()


def run_on_one_state(name: str, rng: random.Random, pools: Pools) -> None:
    keys = rng.choice((2, 3, 5, 20))
    limits = replace(rng.choice((ROOMY, TIGHT)), gas=rng.choice(GAS))
    vm = loaded(
        MixedVM,
        keys=keys,
        ante=rng.random() < 0.8,
        limits=rng.random() < 0.7,
        decode=rng.random() < 0.5,
        ends=rng.random() < 0.3,
        hints=rng.choice(("", "right", "wrong")),
        restless=rng.random() < 0.2,
    )
    compared = Compared(vm, limits, pools)
    chain = Chain(random_state(rng, keys), rng.choice(CACHES))
    try:
        for number in range(BLOCKS_PER_STATE):
            chain.policy = random_policy(rng)
            block = chain.block(mixed_block(rng, keys))
            expected = compared.one_by_one(block, chain.base)
            for workers in rng.sample(WORKERS, 2):
                text = difference(expected, compared.on(workers, block, chain.base))
                assert text is None, f"seed {name}, block {number}, {workers} workers, {chain.policy}: {text}\n{chain.model}\n{block.txs!r}"
            staged = chain.stage(expected)
            if rng.random() < 0.6:
                chain.commit(expected, staged)
    finally:
        compared.close()
        chain.close()


@pytest.mark.sampled
def test_random_blocks_of_everything(pools: Pools) -> None:
    for name, rng in rngs(effort.seed(4), BLOCKS // BLOCKS_PER_STATE):
        run_on_one_state(name, rng, pools)
