"""The transactions of a block, looked at before anything executes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ioi_exec import InputTypeError, LimitExceeded, Limits
from ioi_exec.block.preparation import checked_transactions


class Bytes(bytes):
    """Says that it is shorter than it is."""

    def __len__(self) -> int:
        return 0


def expected(txs: list[Any], limits: Limits) -> list[bytes] | tuple[type[Exception], str]:
    """One by one, in Python."""
    listed = []
    for i, tx in enumerate(txs):
        if not isinstance(tx, bytes):
            return InputTypeError, f"transaction {i} is"
        listed.append(bytes.__getitem__(tx, slice(None)))
        if len(listed[-1]) > limits.tx_bytes:
            return LimitExceeded, f"transaction {i} has {len(listed[-1])} bytes"
    total = sum(map(len, listed))
    return listed if total <= limits.block_bytes else (LimitExceeded, f"the block has {total} bytes")


@pytest.mark.parametrize("seed", range(60))
def test_the_first_that_cannot_be_is_named(seed: int) -> None:
    rng = random.Random(seed)
    odd: list[Any] = [Bytes(b"odd"), Bytes(b"x" * 9), bytearray(b"a"), "text", None, 5, b"x" * 9, memoryview(b"a")]
    limits = Limits(tx_bytes=8, block_bytes=rng.choice([8, 40, 1000]))
    txs: list[Any] = [rng.randbytes(rng.choice([0, 1, 8])) for _ in range(rng.choice([0, 1, 2, 9]))]
    for _ in range(rng.choice([0, 0, 1, 3])):
        txs.insert(rng.randrange(len(txs) + 1), rng.choice(odd))
    wanted = expected(txs, limits)
    if isinstance(wanted, tuple):
        with pytest.raises(wanted[0], match=wanted[1]):
            checked_transactions(iter(txs), limits)
    else:
        found = checked_transactions(iter(txs), limits)
        assert found == wanted and all(type(tx) is bytes for tx in found)
