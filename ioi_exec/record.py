"""What happened while a block was executed, step by step: `execute(..., record=True)`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class EventKind(IntEnum):
    """What an event tells; most are spans, those marked instant begin and end at the same nanosecond."""

    EXECUTE = 1
    """An incarnation ran, waits included. `result` 1: it finished and published; 0: it was cut short and starts again."""
    VALIDATE = 2
    """Its reads were looked at again. `result` 1: they stand; 0: `key` does not, because of what transaction `other` wrote."""
    ABORT = 3
    """Instant: the incarnation is given up, for `key` as written by transaction `other`."""
    SUSPEND = 4
    """An incarnation waited for transaction `other`, whose ESTIMATE of `key` it met. The end is its wake."""
    FETCH = 5
    """Committed values were read, for the transaction or the run of transactions that begins with it."""
    IDLE = 6
    """The worker found nothing to do."""
    COMMIT = 7
    """Instant: the watermark rose to `tx`: all below are final."""
    SOLO = 8
    """The worker ran alone at the watermark from `tx` on."""


EVENT = np.dtype(
    [
        ("start", "<u8"),  # nanoseconds since the block began
        ("end", "<u8"),
        ("tx", "<u4"),  # TxIndex; the number of transactions is end_block
        ("incarnation", "<u4"),
        ("other", "<i4"),  # the TxIndex of another transaction; -1: none, or not known
        ("key", "<i4"),  # index into `keys`; -1: none
        ("other_incarnation", "<u4"),
        ("worker", "<u2"),
        ("kind", "u1"),  # EventKind
        ("result", "u1"),
    ]
)

READ = np.dtype(
    [
        ("tx", "<u4"),
        ("key", "<u4"),  # index into `keys`
        ("writer", "<i4"),  # the TxIndex whose write was read, by the final incarnation; -1: the committed state
    ]
)

WRITE = np.dtype([("tx", "<u4"), ("key", "<u4"), ("deleted", "?")])


@dataclass(frozen=True, eq=False)
class Record:
    """One block's record. Times are those of CLOCK_MONOTONIC, the same on all workers.

    events: EVENT array, by start. reads, writes: of the final incarnation of each transaction, end_block included, by tx and then key.
    keys: what `key` means. workers: how many took part.
    """

    events: npt.NDArray[np.void]
    reads: npt.NDArray[np.void]
    writes: npt.NDArray[np.void]
    keys: list[bytes]
    workers: int
    transactions: int
