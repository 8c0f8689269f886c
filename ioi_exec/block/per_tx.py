"""How each transaction of a block was executed: `result.per_tx`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ioi_exec.block.measured import Measured

PER_TX = np.dtype(
    [
        ("incarnations", "<u4"),  # executed; their sum is stats.executions
        ("aborts", "<u4"),  # incarnations thrown away, all but the last; their sum is stats.aborts
        ("suspensions", "<u4"),  # waits for another transaction; their sum is stats.suspensions
        # Executing, all incarnations together, waits for other transactions excluded, and with a native VM reading the committed
        # state too. Transactions of 1,000 ns or more are measured one by one; where cheaper ones run in a row (up to 64), they
        # share its time evenly.
        ("nanoseconds", "<u8"),
        ("worker", "<i2"),  # that executed the last incarnation; -1: the calling process
    ]
)

# ioi_span of shm/core/spans.h
_SPAN = np.dtype(
    [("first", "<u4"), ("count", "<u2"), ("worker", "<u2"), ("incarnation", "<u4"), ("suspensions", "<u4"), ("ns", "<u8")]
)
_STATUS_BITS = 4  # IOI_STATUS_BITS: the incarnation stands above them


def per_tx(measured: Measured) -> npt.NDArray[np.void]:
    """One PER_TX row for each transaction."""
    if measured.alone:
        rows = np.zeros(len(measured.alone) // 8, PER_TX)
        rows["incarnations"] = 1
        rows["nanoseconds"] = np.frombuffer(measured.alone, "<u8")
        rows["worker"] = -1
        return rows
    last = np.frombuffer(measured.statuses, "<u4") >> _STATUS_BITS  # incarnation that became final
    rows = np.zeros(len(last), PER_TX)
    rows["aborts"] = last
    rows["incarnations"] = last + 1
    spans = np.frombuffer(measured.spans, _SPAN)
    counts = spans["count"].astype(np.intp)
    span = np.repeat(np.arange(len(spans)), counts)  # one entry for each execution from here on
    tx = spans["first"][span] + np.arange(len(span)) - (np.cumsum(counts) - counts)[span]
    rows["suspensions"] = np.bincount(tx, spans["suspensions"][span], len(rows))
    rows["nanoseconds"] = np.bincount(tx, (spans["ns"] / np.maximum(counts, 1))[span], len(rows))
    final = spans["incarnation"][span] == last[tx]
    rows["worker"][tx[final]] = spans["worker"][span[final]]
    return rows
