"""The same random programs in Python and in C: antes, events, gas, scans and checkpoints end alike, at all worker counts."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Iterator

import effort
import pytest
from differential import CACHES, WORKERS, Chain, Compared, Pools, difference, loaded, rngs
from either_vm import EitherInC, EitherVM, either_block
from random_blocks import random_policy

from ioi_exec import GasSchedule, Limits
from ioi_exec.execution.hooks import run_block
from ioi_exec.execution.native import NativeSequentialExecutor

BLOCKS = effort.amount("IOI_EITHER_BLOCKS", sample=128, many=800)
BLOCKS_PER_STATE = 16
LIMITS = (
    Limits(key_bytes=32, value_bytes=64),
    Limits(key_bytes=32, value_bytes=8, tx_keys=3, tx_write_bytes=30, checkpoint_depth=2, output_bytes=9),
)
GAS = (
    None,
    GasSchedule(flat=10, get=10, put=20, delete=5, scan=3, read_byte=1, written_byte=2, emit=4, tx_limit=300),
    GasSchedule(flat=1, get=1, put=1, scan=1, emit=1, tx_limit=2**62),
)


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()


def run_on_one_state(name: str, rng: random.Random, pools: Pools) -> None:
    limits = replace(rng.choice(LIMITS), gas=rng.choice(GAS))
    ante, chain_id = rng.random() < 0.7, rng.choice(("", "main-1", "é"))
    python, native = (replace(loaded(vm, ante=ante), chain_id=chain_id) for vm in (EitherVM, EitherInC))
    in_python, in_c = Compared(python, limits, pools), Compared(native, limits, pools)
    chain = Chain({b"k%d" % i: rng.randbytes(rng.randrange(6)) for i in range(7) if rng.random() < 0.6}, rng.choice(CACHES))
    one_by_one = NativeSequentialExecutor(native, limits, cached=rng.random() < 0.5)
    try:
        for number in range(BLOCKS_PER_STATE):
            chain.policy = random_policy(rng)
            block = chain.block(either_block(rng))
            block = replace(block, context=block.context._replace(chain_id=chain_id))
            expected = in_python.one_by_one(block, chain.base)
            found = {"in C, one by one": run_block(one_by_one, native, block, chain.base)}
            for workers in rng.sample(WORKERS, 2):
                found[f"in C, {workers} workers"] = in_c.on(workers, block, chain.base)
            if rng.random() < 0.2:
                found["in Python, 2 workers"] = in_python.on(2, block, chain.base)
            for how, outcome in found.items():
                text = difference(expected, outcome)
                where = f"seed {name}, block {number}, {how}, {chain.policy}, {limits}"
                assert text is None, f"{where}: {text}\n{chain.model}\n{block.txs!r}"
                assert outcome.receipts.root() == expected.receipts.root() and outcome.end == expected.end, where
            staged = chain.stage(expected)
            if rng.random() < 0.6:
                chain.commit(expected, staged)
    finally:
        in_python.close()
        in_c.close()
        one_by_one.close()
        chain.close()


@pytest.mark.sampled
def test_random_blocks_in_either_language(pools: Pools) -> None:
    for name, rng in rngs(effort.seed(4), BLOCKS // BLOCKS_PER_STATE):
        run_on_one_state(name, rng, pools)
