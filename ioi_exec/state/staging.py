"""Staging a block's writes: the state root, computed on as many cores as the block was executed on.

In threads of this process (ioi_storage.trees.threads says why), with the results of one, whatever happens to the workers.
"""

from __future__ import annotations

import builtins

from ioi_storage import Staged, State, Threads, Writes

from ioi_exec.cores import available_cores

SMALL = 1_000  # writes: fewer are staged before other threads are awake and of use


class Staging:
    """Of one machine. workers: as of the machine; threads without a core of their own would only be in the way."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: Threads | None = None

    def stage(self, state: State, writes: Writes, sequential: bool) -> tuple[Staged, int]:
        """The staged writes, and how many threads it took."""
        if sequential or self._workers < 2 or len(writes) < SMALL:
            return state.stage(writes, map=builtins.map), 1
        if self._threads is None:
            self._threads = Threads(min(self._workers, available_cores()))
        return state.stage(writes, map=self._threads), self._threads.threads

    def close(self) -> None:
        """End the threads. Idempotent."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None
