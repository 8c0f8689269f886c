"""Transactions for the Program VM that are programs, nearly programs, and anything but."""

from __future__ import annotations

import random
from typing import Iterator

from ioi_stress.vm import encoding
from ioi_stress.vm.encoding import ADD, DELETE, READ, Malformed, Operations
from ioi_stress.workloads import make

COST_MAX_NS = 20_000
"""Of all operations of a program together: fuzzing is not for waiting."""


def random_transactions(seed: int, count: int) -> list[bytes]:
    """Two thirds mutated: one in two of those in a byte, the others cut, spliced, repeated or made up."""
    rng = random.Random(seed)
    sizes = {"value_bytes": rng.choice((0, 32, 300, 1 << 19))}
    workload = make("mixed", vm="python", block_size=count, accounts=rng.choice((3, 30)), cost_us=1, seed=seed, **sizes)
    programs = list(next(iter(workload.blocks())).txs)
    programs = [tx[:9] + _add(rng) + tx[9:] + _add(rng) if rng.random() < 0.5 else tx for tx in programs]
    made = [_mutated(rng, tx, programs) if rng.random() < 0.67 else tx for tx in programs]
    return [tx for tx in made if _cost(_operations(tx)) <= COST_MAX_NS]


def scans(tx: bytes) -> bool:
    """Whether it is a program with a scan in it."""
    return any(operation.code == encoding.SCAN for operation in _all(_operations(tx)))


def named_keys(tx: bytes) -> int:
    """How many operations name their key outright."""
    return sum((READ <= each.code <= DELETE or each.code == ADD) and each.key.numbers == 0 for each in _all(_operations(tx)))


def _add(rng: random.Random) -> bytes:
    """To a counter that others add to, or to what programs read and write."""
    key = encoding.key(b"account/%08d" % rng.randrange(3) if rng.random() < 0.3 else b"n%d" % rng.randrange(2))
    return encoding.add(key, rng.choice((1, 1, 2, 16, 32)), rng.choice((-1, 1, 0, 100, -255, encoding.DELTA_MAX)))


def _mutated(rng: random.Random, tx: bytes, others: list[bytes]) -> bytes:
    at = rng.randrange(len(tx))
    kind = rng.randrange(8)
    if kind < 4:
        return (
            tx[:at] + bytes((rng.choice((rng.randrange(256), tx[at] ^ 1 << rng.randrange(8), 0, 255)),)) + tx[at + 1 :]
        )
    if kind == 4:
        return tx[:at] + rng.choice(others)[rng.randrange(9, 20) :]
    if kind == 5:
        return tx[:at]
    if kind == 6:
        return tx[:9] + tx[9:] * rng.randrange(2, 5)
    return rng.choice((b"", tx[:9])) + rng.randbytes(rng.randrange(40))


def _operations(tx: bytes) -> Operations:
    try:
        return encoding.decode(tx)
    except Malformed:
        return ()


def _all(operations: Operations) -> Iterator[encoding.Operation]:
    for operation in operations:
        yield operation
        yield from _all(operation.body)


def _cost(operations: Operations) -> int:
    return sum(each.number for each in _all(operations) if each.code in (encoding.BURN, encoding.SLEEP))
