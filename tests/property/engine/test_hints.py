"""Hints from outside are of speed alone: whatever they are, the result is the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ioi_exec import BlockResult, EventKind, ExecutionMachine, InputTypeError, Policy, StateView

KEYS = [b"k%d" % i for i in range(40)]
ALL = Policy.named("all-workers")


class Moves:
    """A transaction reads two keys and writes what it saw to the second; a third of them scan too."""

    def execute(self, tx: bytes, state: StateView, ctx: Any) -> bytes:
        one, other = KEYS[tx[0] % 40], KEYS[tx[1] % 40]
        seen = (state.get(one) or b"") + (state.get(other) or b"")
        if tx[2] % 3 == 0:
            seen += b"%d" % len(list(state.scan(prefix=one)))
        if tx[2] % 5:
            state.put(other, seen[-40:] + tx)
        else:
            state.delete(other)
        return seen


def same(one: BlockResult, other: BlockResult) -> bool:
    return (one.state_root, one.receipts_root, one.receipts, one.writes) == (other.state_root, other.receipts_root, other.receipts, other.writes)


def random_hints(rng: random.Random, txs: list[bytes]) -> list[list[bytes]]:
    right = [[KEYS[tx[0] % 40], KEYS[tx[1] % 40]] for tx in txs]
    wrong = [[rng.choice([b"", b"k", bytes(5000), rng.choice(KEYS), rng.randbytes(3)]) for _ in range(rng.randrange(4))] for _ in range(rng.randrange(30))]
    return rng.choice([right, wrong, [*right, *wrong]])


@pytest.mark.parametrize("seed", range(6))
def test_random_hints(ioi: Any, seed: int) -> None:
    rng = random.Random(seed)
    genesis = {key: rng.randbytes(3) for key in KEYS if rng.random() < 0.7}
    with ExecutionMachine.create(None, Moves, genesis=genesis, workers=0) as reference:
        machine = ioi(vm=Moves, genesis=genesis)
        for block in range(4):
            txs = [rng.randbytes(4) for _ in range(rng.randrange(30))]
            expected = reference.execute(txs)
            with machine.sandbox():
                assert same(machine.execute(txs, hints=random_hints(rng, txs), policy=ALL), expected)
            result = machine.execute(txs, hints=random_hints(rng, txs), policy=ALL)
            assert same(result, expected), f"seed {seed} block {block}"
            reference.commit(expected)
            machine.commit(result)


def test_what_is_hinted_is_not_fetched_again(ioi_pools: Any) -> None:
    txs = [bytes([i, i + 20, 1, 0]) for i in range(20)]

    def fetched(hints: list[list[bytes]] | None) -> int:
        with ExecutionMachine.create(
            None, Moves, genesis={key: key for key in KEYS}, workers=2, pin=False, executors=ioi_pools.executors()
        ) as machine:
            record = machine.execute(txs, hints=hints, record=True).record
            assert record is not None
            return int((record.events["kind"] == EventKind.FETCH).sum())

    assert fetched(None) > 0
    assert fetched([[KEYS[tx[0]], KEYS[tx[1]]] for tx in txs]) == 0


@pytest.mark.parametrize("hints", [[b"key"], [["text"]], 7])
def test_what_is_no_list_of_keys_is_refused(hints: Any) -> None:
    with ExecutionMachine.create(None, Moves, workers=0) as machine, pytest.raises(InputTypeError, match="the hints must be"):
        machine.execute([], hints=hints)
