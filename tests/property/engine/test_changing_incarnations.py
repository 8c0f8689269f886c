"""Transactions that behave differently from incarnation to incarnation: another script, so other reads, writes, outcome.

No deterministic VM does that by itself, but stale reads make every VM do it, in ways that are rare. Here it is the rule.
The output says which script the final incarnation followed; the baseline follows these, one by one.
"""

from __future__ import annotations

import json
import random
from typing import Any, Iterator

import effort
import pytest
from differential import WORKERS, Chain, Pools, difference, loaded, rngs
from program_vm import Program, Run
from random_blocks import Author, random_policy, random_state
from until import until

from ioi_exec import Limits, Revert, StateView, TxContext
from ioi_exec.execution.executor import Outcome
from ioi_exec.execution.parallel import ParallelExecutor
from ioi_exec.execution.sequential import SequentialExecutor

BLOCKS = effort.amount("IOI_BLOCKS", sample=250, many=3_000)
BLOCKS_PER_STATE = 25
LIMITS = Limits(key_bytes=32)


class ChangingVM:
    """A transaction is a list of scripts. Which one an incarnation follows, chance decides; with `fixed`, the block does:
    a transaction is then [script number, scripts]."""

    def __init__(self, keys: int, fixed: bool = False, restless: bool = False) -> None:
        self.key_count = keys
        self.fixed = fixed
        self.restless = restless

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        parsed: Any = json.loads(tx)
        number, scripts = parsed if self.fixed else (random.randrange(len(parsed)), parsed)
        run = Run(state, self.key_count, self.restless)
        try:
            run.steps(scripts[number])
        except Exception as error:
            raise Revert(f"{number} {type(error).__name__}", code=3) from None
        return b"%d %x" % (number, run.seen)


def followed(outcome: Outcome) -> list[int]:
    return [int((receipt.output.decode() or receipt.error).split()[0]) for receipt in outcome.receipts]


def scripts_of(author: Author, rng: random.Random) -> list[Program]:
    return [author.program(rng.choice((1, 2, 4, 6)), 0) for _ in range(rng.choice((2, 2, 3, 5)))]


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()


@pytest.mark.sampled
@pytest.mark.parametrize("restless", [False, True])
def test_the_result_is_that_of_the_final_incarnations(pools: Pools, restless: bool) -> None:
    repeated = 0
    states = rngs(effort.seed(4 + restless))
    for _ in until(lambda: repeated > 0, BLOCKS // BLOCKS_PER_STATE):
        name, rng = next(states)
        keys = rng.choice((2, 3, 8))
        chain = Chain(random_state(rng, keys))
        workers = rng.choice(WORKERS[1:])
        vm = loaded(ChangingVM, keys=keys, restless=restless)
        fixed = SequentialExecutor(loaded(ChangingVM, keys=keys, fixed=True), LIMITS)
        executor = ParallelExecutor(vm, LIMITS, workers, False, pools.templates, pools[workers])
        try:
            for number in range(BLOCKS_PER_STATE):
                chain.policy = random_policy(rng)
                author = Author(rng, keys, rng.choice(("mixed", "scans", "undo", "writes")))
                block = [scripts_of(author, rng) for _ in range(rng.choice((3, 10, 30)))]
                found = executor.run(chain.block([json.dumps(scripts).encode() for scripts in block]), chain.base, None)
                final = [json.dumps(chosen).encode() for chosen in zip(followed(found), block)]
                expected = fixed.run(chain.block(final), chain.base, None)
                text = difference(expected, found)
                assert text is None, f"seed {name} block {number}, {workers} workers, {chain.policy}: {text}\nstate {chain.model}\n{final}"
                repeated += found.stats.executions > len(block)
                staged = chain.stage(found)
                if rng.random() < 0.5:
                    chain.commit(found, staged)
        finally:
            executor.close()
            chain.close()
