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

from ioi_exec import ExecutionMachine, GasSchedule, Limits, Misbehaviour, Receipt, Revert, VMError, Vote
from ioi_exec.block.decided import FLAGS, KINDS
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
            decided = {"votes": random_votes(rng), "misbehaviour": random_misbehaviour(rng)} if rng.random() < 0.4 else {}
            block = replace(block, context=block.context._replace(chain_id=chain_id, **decided))
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


def random_votes(rng: random.Random) -> tuple[Vote, ...]:
    return tuple(Vote(rng.randbytes(rng.choice((1, 20, 64))), rng.choice((0, 5, 2**63 - 1)), rng.choice(FLAGS)) for _ in range(rng.randrange(4)))


def random_misbehaviour(rng: random.Random) -> tuple[Misbehaviour, ...]:
    numbers = (0, 7, 2**63 - 1)
    return tuple(
        Misbehaviour(rng.choice(KINDS), rng.randbytes(rng.choice((1, 20, 64))), *rng.choices(numbers, k=4)) for _ in range(rng.randrange(3))
    )


def test_what_they_are_asked() -> None:
    """Checks over each other, with an ante or a check, and queries of every version; as one text a question."""
    said: dict[str, int] = {}
    for name, rng in rngs(effort.seed(7), BLOCKS // BLOCKS_PER_STATE):
        ante, gas = rng.random() < 0.5, rng.choice(GAS)
        genesis = {b"k%d" % i: rng.randbytes(rng.randrange(6)) for i in range(7)}
        machines = [
            ExecutionMachine.create(None, vm(ante), genesis=genesis, limits=rng_limits, workers=0, gas=gas, chain_id="c", tree="iavl")
            for rng_limits in [rng.choice(LIMITS)] for vm in (EitherVM, EitherInC)
        ]
        try:
            for _ in range(4):
                block = either_block(rng)
                for tx in block:
                    python, native = [told(machine.check(tx)) for machine in machines]
                    assert python == native, f"seed {name}: check of {tx!r}: {python} in Python, {native} in C"
                    said[str(python[0])] = said.get(str(python[0]), 0) + 1
                for machine in machines:
                    machine.commit(machine.execute(block))
                for _ in range(10):
                    data, version, path = queried(rng), rng.randrange(machines[0].version + 1), rng.choice(("", "/é", "path"))
                    python, native = [told(machine.query(path, data, version=version)) for machine in machines]
                    assert python == native, f"seed {name}: query of {data!r}: {python} in Python, {native} in C"
        finally:
            for machine in machines:
                machine.close()
    assert {"0", "5"} <= said.keys(), said


class Verified(EitherInC):
    def verify(self, tx: bytes, chain_id: str) -> None:
        if tx.startswith(b"\0"):
            raise Revert(f"signature for {chain_id}", code=9)
        if tx == b"fault":
            raise MemoryError(tx)


@pytest.mark.parametrize("ante", [True, False])
def test_who_is_asked_in_c_looks_at_signatures_first(ante: bool) -> None:
    with ExecutionMachine.create(None, Verified(ante), workers=0, chain_id="c") as machine:
        refused, good = machine.check(b"\0\0"), machine.check(b"\1\0\2\1\1")
        assert (refused.code, refused.error, good.ok) == (9, "signature for c", True)
        with pytest.raises(VMError, match="check was stopped: MemoryError"):
            machine.check(b"fault")
        assert machine.query("", b"").ok and machine.checks
        assert machine.pending().check(b"\1\0\2\1\1").ok


def queried(rng: random.Random) -> bytes:
    """A program without what depends on the context, which a query in Python has not, and without the end of gas in events."""
    return b"".join(bytes((rng.choice((0, 1, 2, 3, 4, 8, 9, 12)), rng.randrange(256), rng.randrange(256))) for _ in range(rng.randrange(9)))


def told(receipt: Receipt) -> tuple[object, ...]:
    """What an exception says beside its kind is Python's, and so is its code where `ante` is asked: in C it says itself that it refuses."""
    error = receipt.error.partition(":")[0].partition(" (")[0]
    return 2 if receipt.code == 3 else receipt.code, receipt.output, error, receipt.gas_wanted, receipt.gas_used, receipt.packed_events, receipt.refused


@pytest.mark.sampled
def test_random_blocks_in_either_language(pools: Pools) -> None:
    for name, rng in rngs(effort.seed(4), BLOCKS // BLOCKS_PER_STATE):
        run_on_one_state(name, rng, pools)
