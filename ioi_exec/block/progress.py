"""How far a block has come while it runs: `execute(..., on_progress=callback)`."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns
from typing import Callable

PROGRESS_NS = 50_000_000  # about how often


@dataclass(frozen=True)
class Progress:
    """A look at a running block. Counts are as of a moment ago, and start anew when the block has to run again."""

    transactions: int
    """Of the block."""
    watermark: int
    """Transactions below are final."""
    executions: int
    validations: int
    aborts: int
    suspensions: int
    busy: tuple[int | None, ...]
    """What each worker that takes part is at: a TxIndex, `transactions` for end_block, -1 for what comes before the first, None for nothing. In the calling process:
    one entry, the transaction that comes next."""
    arena_bytes: int
    """Shared memory in use; 0 in the calling process."""


OnProgress = Callable[[Progress], None]


class AloneProgress:
    """Tells of transactions executed one by one in the calling process, between two of them."""

    def __init__(self, on_progress: OnProgress | None, transactions: int) -> None:
        self._on_progress = on_progress
        self._transactions = transactions
        self._due = perf_counter_ns() + PROGRESS_NS

    @property
    def due(self) -> bool:
        """Whether `at` would tell."""
        return self._on_progress is not None and perf_counter_ns() >= self._due

    def at(self, executed: int) -> None:
        """So many are executed."""
        if self.due:
            self._tell(executed, executed)
            self._due = perf_counter_ns() + PROGRESS_NS

    def end(self) -> None:
        if self._on_progress is not None:
            self._tell(self._transactions, None)

    def _tell(self, executed: int, busy: int | None) -> None:
        assert self._on_progress is not None
        self._on_progress(Progress(self._transactions, executed, executed, 0, 0, 0, (busy,), 0))
