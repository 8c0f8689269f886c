"""Who brings up what lags behind, and when: the upkeep process while it gets on, else the store itself.

The flat table and pruning are behind at most by the bounds below. A state in memory has no process: it is never behind.
"""

from __future__ import annotations

import time

from ..disk import stale
from ..disk.handle import Handle
from ..errors import StorageError, StorageIOError
from . import catchup
from .upkeep import Upkeep
from .view import View

# How far the flat table may lag behind. Small writes wait for more, since a process for their sake is not worth it.
LAG_VERSIONS = 64
LAG_WRITES = 100_000  # some 20 MB, and what a state takes to open
UPKEEP_WRITES = 2_000
_RECORDS = 45  # of stale rows in a row of table `stale`, about
_PATIENCE = 30.0  # seconds


class Keeper:
    """upkeep: the process, None in memory; started when there is something to do."""

    def __init__(self, handle: Handle, view: View) -> None:
        self._handle = handle
        self._view = view
        self.upkeep = Upkeep(handle.place) if handle.path is not None else None
        self._prunable = 0  # records of stale rows that the process was not asked to delete yet
        self._owed = False  # what the process failed to do
        handle.before_closing.append(self._stop)

    def _stop(self) -> StorageError | None:
        return self.upkeep.stop() if self.upkeep is not None else None

    # ---- around a commit ----

    def do_what_upkeep_failed_to(self) -> None:
        """Where it fails for all to see."""
        if self.upkeep is None or not (self.upkeep.failed or self._owed):
            return
        self._owed = True
        self.settle()
        self._prune()
        self._owed = False

    def make_room(self) -> None:
        """Wait for the upkeep process while it gets on, else do its work: one version more may lag behind then."""
        _, lag = self._view.now()
        patience = time.monotonic() + _PATIENCE
        while lag.versions >= LAG_VERSIONS or lag.writes >= LAG_WRITES:
            busy = self.upkeep is not None and self.upkeep.alive and lag.writes >= UPKEEP_WRITES
            if not busy or time.monotonic() > patience:
                return self.settle()
            time.sleep(0.002)
            self._view.drop()
            _, lag = self._view.now()

    def committed(self, version: int, stale_rows: int, oldest: int | None) -> None:
        """stale_rows: of table `stale`, what the version recorded; oldest: what mark `oldest` became, None: it stayed."""
        if oldest is not None:
            self._prunable += _RECORDS * stale_rows
        if self.upkeep is None:
            self.settle()
            if oldest is not None:
                self._prune()
            return
        if self._view.lag_writes >= UPKEEP_WRITES:
            self.upkeep.ask(flat=version)
        if oldest is not None and self._prunable >= UPKEEP_WRITES and self.upkeep.ask(prune=oldest):
            self._prunable = 0

    # ---- at once ----

    def end(self) -> None:
        """From now on nobody else writes. An I/O error that the process has met is as good as one met here."""
        error = self._stop()
        if isinstance(error, StorageIOError):
            self._handle.close()
            raise error

    def settle(self) -> None:
        """Bring the flat table up to the newest version, now."""
        self._handle.check_writable("settle it")
        self.end()  # two that bring it up at once would overwrite new by old
        self._view.drop()
        with self._handle.writing("bringing up the latest values of"):
            _, lag = self._view.now()
            self._view.drop()
            for _ in catchup.steps(self._handle.begin, self._handle.tables, lag.values, lag.newest):
                pass
            self._view.now()  # the lag is forgotten

    def leave_pruning(self) -> None:
        """To the caller, who prunes all there is now."""
        self._prunable = 0

    def _prune(self) -> None:
        self._view.write("pruning", stale.steps(self._handle.begin, self._handle.tables))
