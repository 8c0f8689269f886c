"""What goes into a block that this node proposes, and what was taken out of one."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import Mapping, Sequence

from ioi_exec.block.proposal import Dropped
from ioi_exec.block.receipt import Receipt
from ioi_exec.node.wire import varint

DROPPED_MOST = 10_000
CODE = 1  # of a receipt for what the VM has said none of


def size_in_block(tx: bytes) -> int:
    """Bytes that it takes of CometBFT's max_tx_bytes: with its tag and length."""
    return 1 + len(varint(len(tx))) + len(tx)


class TakenOut:
    """What a proposer took out of its blocks, for CheckTx, so that it does not wait for ever. The oldest are forgotten. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[bytes, Dropped] = {}

    def add(self, candidates: Sequence[bytes], dropped: Mapping[int, Dropped]) -> None:
        with self._lock:
            for index, why in dropped.items():
                self._found[sha256(candidates[index]).digest()] = why
            while len(self._found) > DROPPED_MOST:
                del self._found[next(iter(self._found))]

    def receipt(self, tx: bytes, again: bool) -> Receipt | None:
        """Why the transaction has to go; None: nothing is known against it. What `ante` refused goes once, and may be sent anew; what no block
        can hold, or what stopped one, stays out."""
        if not self._found:
            return None
        digest = sha256(tx).digest()
        with self._lock:
            why = self._found.get(digest)
            if why is None or why.kind == "refused" and not again:
                return None
            if why.kind == "refused":
                del self._found[digest]
        return Receipt(why.code or CODE, error=why.text)
