"""What happened while a block was executed, step by step: `execute(..., record=True)`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class EventKind(IntEnum):
    """What an event tells; most are spans, those marked instant begin and end at the same nanosecond.

    Spans of one worker follow each other or lie inside each other: a SUSPEND, FETCH or PREEMPTED in the middle of an EXECUTE is part of
    it, SOLO encloses what was done alone."""

    EXECUTE = 1
    """An incarnation ran. `result` 1: it finished and published; 0: it was cut short and starts again. A VM in Python waits
    and fetches inside (but cut short, it goes on until it returns); a native one ends for that, and begins again."""
    VALIDATE = 2
    """Its reads were looked at again. `result` 1: they stand; 0: `key` does not, because of what transaction `other` wrote;
    several workers may find that, and one of them aborts it."""
    ABORT = 3
    """Instant: the incarnation is given up, for `key` as written by transaction `other`. `result` 1: that write stands; 0: it was
    itself aborted, and only its ESTIMATE is there."""
    SUSPEND = 4
    """An incarnation waited for transaction `other`, whose ESTIMATE of `key` it met. The end is its wake."""
    FETCH = 5
    """Committed values were read, for the transaction or the run of transactions that begins with it; `key`, if only one was.
    Scans read theirs as they go, inside EXECUTE."""
    IDLE = 6
    """The worker found nothing to do. `tx` means nothing."""
    COMMIT = 7
    """Instant: the watermark rose to `tx`: all below are final."""
    SOLO = 8
    """The worker ran alone at the watermark, from `tx` to `other`."""
    PREEMPTED = 9
    """Another thread had the worker's core: what passed and was not computed (its CPU time), 50 us or more of it. It stands at
    the end of the span it lies in, since where in it is not known. A VM that sleeps gives its core away, which is no such thing."""


EVENT = np.dtype(
    [
        ("start", "<u8"),  # nanoseconds since the block began
        ("end", "<u8"),
        ("tx", "<u4"),  # TxIndex; the number of transactions is end_block
        ("incarnation", "<u4"),
        # The TxIndex of another transaction; -1: none. Where a read does not stand: the writer of what stands there now, the
        # highest below; -1 then is the committed state, the write that was read having been withdrawn.
        ("other", "<i4"),
        ("key", "<i4"),  # index into `keys`; -1: none
        ("other_incarnation", "<u4"),  # of `other`, which wrote it
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
        # It only added to the key's counter. `writer` is whom the add needs: with the counter as that one left it, it goes the same way.
        # That is who put or deleted the key last, or -1, the committed state, if nobody did; another add only where a bound is near.
        ("added", "?"),
    ]
)

WRITE = np.dtype(
    [
        ("tx", "<u4"),
        ("key", "<u4"),
        ("deleted", "?"),
        ("added", "?"),  # to the counter, without knowing it: who reads it needs this write and those below, down to one that is no add
    ]
)


@dataclass(frozen=True, eq=False)
class Record:
    """One block's record. Times are those of CLOCK_MONOTONIC, the same on all workers. Of a block that was run again it is the
    record of the run that counted.

    events: EVENT array, by start, the longer first. reads, writes: READ and WRITE arrays, of the final incarnation of each
    transaction, end_block included, by tx and then key; the same however the block was scheduled, but that where transactions
    add at several places of one value, who comes first has the counter and the others read and write. An add that was refused is a read. A scan reads those keys of its
    range, as far as it looked, that were in the state or that a transaction below wrote, deleted ones included. What a hook before
    the transactions wrote is, like the committed state, no transaction's.
    before: the same of each such hook (`migrate`, `begin_block`), as its transaction 0.
    keys: what `key` means, ascending. workers: how many took part.
    """

    events: npt.NDArray[np.void]
    reads: npt.NDArray[np.void]
    writes: npt.NDArray[np.void]
    keys: list[bytes]
    workers: int
    transactions: int
    before: tuple[Record, ...] = ()

    @classmethod
    def of(cls, rows: tuple[bytes, bytes, bytes, bytes, bytes], workers: int, transactions: int, before: tuple[Record, ...] = ()) -> Record:
        """From what `ioi_shm.Arena.record` returns."""
        events = np.frombuffer(rows[0], EVENT)
        order = np.lexsort((~events["end"], events["start"]))
        ends = np.frombuffer(rows[4], "<u8").tolist()
        keys = [rows[3][start:end] for start, end in zip([0, *ends], ends)]
        return cls(
            events[order], np.frombuffer(rows[1], READ), np.frombuffer(rows[2], WRITE), keys, workers, transactions, before
        )
