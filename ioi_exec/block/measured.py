"""What was measured and recorded of a block, as the bytes it came out of the arena in: decoded only where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Measured:
    """What was measured of each transaction, in the bytes it was taken out as.

    statuses, spans: of the arena (Arena.per_tx). alone: u64 nanoseconds each, if they were executed in the calling process.
    """

    statuses: bytes = b""
    spans: bytes = b""
    alone: bytes = b""


class RecordRows(NamedTuple):
    """A block's record as it comes out of the arena: what `Record.of` takes."""

    rows: tuple[bytes, bytes, bytes, bytes, bytes]
    workers: int
    transactions: int
