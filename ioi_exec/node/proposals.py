"""What goes into a block that this node proposes."""

from __future__ import annotations

from typing import Iterable

from ioi_exec.limits import Limits
from ioi_exec.node.wire import varint


def fitting(txs: Iterable[bytes], most: int, limits: Limits) -> list[bytes]:
    """From the front, as many as take at most so many bytes in a block as CometBFT counts them, each with its tag and length."""
    chosen: list[bytes] = []
    size = plain = 0
    for tx in txs:
        size += 1 + len(varint(len(tx))) + len(tx)
        plain += len(tx)
        if size > most or plain > limits.block_bytes or len(chosen) == limits.block_transactions:
            break
        if len(tx) <= limits.tx_bytes:
            chosen.append(tx)
    return chosen
