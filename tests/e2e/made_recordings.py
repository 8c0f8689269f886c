"""Recordings of blocks as they could have been executed: chance brings aborts, and here they have to be."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from ioi_exec.block.measured import RecordRows
from ioi_exec.block.record import EVENT, READ, WRITE, EventKind
from ioi_exec.block.result import Stats
from ioi_exec.node.recordings import Recording, Recordings

_STEP = 1000  # nanoseconds that each execution takes


def made_block(transactions: int, aborts: Sequence[tuple[int, int]]) -> Recording:
    """On two workers, which execute one after another in turns; each of (transaction, writer) was aborted once, and executed again at the end."""
    events = []
    for tx in range(transactions):
        events.append((tx * _STEP, (tx + 1) * _STEP, tx, 0, -1, -1, 0, tx % 2, EventKind.EXECUTE, 1))
    end = transactions * _STEP
    for number, (tx, writer) in enumerate(aborts):
        at = end + number * _STEP
        events.append((at, at, tx, 0, writer, 0, 0, tx % 2, EventKind.ABORT, 1))
        events.append((at + 1, at + _STEP, tx, 1, -1, -1, 0, tx % 2, EventKind.EXECUTE, 1))
    rows = np.zeros(len(events), EVENT)
    for name, column in zip(("start", "end", "tx", "incarnation", "other", "key", "other_incarnation", "worker", "kind", "result"), zip(*events)):
        rows[name] = column
    stats = Stats("parallel", workers=2, executions=transactions + len(aborts), aborts=len(aborts))
    nothing = np.zeros(0, READ).tobytes(), np.zeros(0, WRITE).tobytes()
    record = RecordRows((rows.tobytes(), *nothing, b"k1", np.array([2], "<u8").tobytes()), 2, transactions)
    return Recording(0, transactions, stats, record, b"", b"")


def recordings_of(kept: Recordings, made: dict[int, Recording]) -> None:
    """`kept` answers with these, by height."""

    def at(height: int) -> Recording | None:
        it = made.get(height)
        return None if it is None else Recording(height, it.transactions, it.stats, it.rows, it.alone, it.hashes)

    kept.at = at  # type: ignore[method-assign]
