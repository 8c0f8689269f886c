"""Who brings up what lags behind, and when: the upkeep process while it gets on, else the store itself.

The flat table and pruning are behind at most by the bounds below. A state in memory has no process: it is never behind.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from itertools import takewhile

from ..disk import bodies, marks, stale
from ..disk.handle import Handle
from ..errors import StorageError, StorageIOError
from . import catchup
from .snapshot import Snapshot
from .upkeep import Upkeep
from .view import View

# How far the flat table may lag behind: what a state takes to open, 0.6 s and 140 MB of 400,000 writes of 60 bytes.
LAG_VERSIONS = 64
LAG_WRITES = 400_000
LAG_ROOM = 1 << 27  # bytes that the table may grow by
# How many versions the process brings up together, unless they are large: keys and pages that several write are written once.
# Small writes wait for more, since a process for their sake is not worth it.
BATCH_VERSIONS, BATCH_WRITES, BATCH_ROOM = 10, 100_000, 1 << 25
UPKEEP_WRITES = 2_000
# How many rows of table `stale` may wait to be deleted, with the rows that they record: some 300 MB of the file. A commit that
# finds more waits until more have gone than its version adds.
WAITING = 8_000
SWEEP_SHARE = 4  # a sweep is due once about this part of the file is stale rows, or as many as one takes
_RECORDS = 45  # of stale rows in a row of table `stale`, about
_BYTES_A_ROW = 500  # of those: larger values count for more
# How many transactions are looked for one by one before table `found` is brought up, and after how many such orders that the process has
# not carried out the store does it itself.
FIND_TRANSACTIONS, FIND_ORDERS = 20_000, 20
_PATIENCE = 30.0  # seconds
_LOOK = 0.002  # seconds between looks how far the process is


class Keeper:
    """upkeep: the process, None in memory; started when there is something to do."""

    def __init__(self, handle: Handle, view: View) -> None:
        self._handle = handle
        self._view = view
        self.upkeep = Upkeep(handle.place) if handle.path is not None else None
        self._prunable = 0  # stale rows that the process was not asked to delete yet, about
        self._ordered = 0  # up to which version the process was asked to bring the flat table
        # Transactions of bodies since table `found` was last asked to be brought up; None: not counted yet.
        self._unfound: int | None = None
        self._finding: deque[int] = deque(maxlen=FIND_ORDERS)  # up to which versions it was
        self._must_find = False  # the process does not get on with that
        self._owed = False  # what the process failed to do
        handle.before_closing(self._stop)

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

    def make_room(self, stale_rows: int) -> None:
        """Wait for the upkeep process while it gets on, else do its work: one version more may lag behind then, and so many
        rows of table `stale` more may wait; 0: none will."""
        self._handle.reader_check()  # one that was killed as it read would keep every page that is freed from then on
        patience = time.monotonic() + _PATIENCE
        if self._must_find:
            self._find_now()
        _, lag = self._view.now()
        while lag.versions >= LAG_VERSIONS or lag.writes >= LAG_WRITES or lag.room >= LAG_ROOM:
            if lag.writes < UPKEEP_WRITES or not self._gets_on(patience):
                self.settle()
                break
            time.sleep(_LOOK)
            self._view.drop()
            _, lag = self._view.now()
        if stale_rows:
            self._make_fewer(_RECORDS * stale_rows * 5 // 4, patience)

    def _gets_on(self, patience: float) -> bool:
        return self.upkeep is not None and self.upkeep.alive and time.monotonic() < patience

    def _make_fewer(self, rows: int, patience: float) -> None:
        """So many stale rows go, unless no more wait than may."""
        goal = self._view.look(Snapshot.prunable_rows) - rows

        def too_many() -> bool:
            return self._view.look(lambda now: now.prunable_rows() > goal and now.waiting(WAITING) == WAITING)

        if not too_many():
            return
        self._view.drop()  # its pages are used again meanwhile
        if self.upkeep is not None and self.upkeep.ask(prune=0):  # when the last order was given, fewer could go
            while self._gets_on(patience):
                time.sleep(_LOOK)
                if not too_many():
                    return
        self.end()
        sweep = stale.steps(self._handle.env, self._handle.begin, self._handle.tables, rows)
        self._view.write("pruning", takewhile(lambda _: too_many(), sweep))

    def committed(self, version: int, stale_rows: int, oldest: int | None, transactions: int) -> None:
        """stale_rows: of table `stale`, what the version recorded; oldest: what mark `oldest` became, None: it stayed; transactions: of
        its body."""
        if transactions:
            self._unfound = self._left_over(version) if self._unfound is None else self._unfound + transactions
            if self._unfound >= FIND_TRANSACTIONS:
                self._find(version)
        if oldest is not None:
            self._prunable += _RECORDS * stale_rows + transactions + self._view.newest_room // _BYTES_A_ROW
        if self.upkeep is None:
            self.settle()
            if oldest is not None:
                self._prune()
            return
        versions, writes, room = self._view.lagging_since(self._ordered)
        much = versions >= BATCH_VERSIONS or writes >= BATCH_WRITES or room >= BATCH_ROOM
        if much and writes >= UPKEEP_WRITES and self.upkeep.ask(flat=version):
            self._ordered = version
        if oldest is not None and self._prunable >= self._worth_a_sweep() and self.upkeep.ask(prune=oldest):
            self._prunable = 0

    def _left_over(self, version: int) -> int:
        """Transactions up to this version that table `found` lacks, as far as they matter."""
        count, mark = 0, max(self._view.look(lambda now: now.mark(marks.FOUND)) or 0, self._view.look(lambda now: now.needed_mark(marks.OLDEST)) - 1)
        while version > mark and count < FIND_TRANSACTIONS:
            count += self._view.look(partial(Snapshot.version_row, version=version)).transactions
            version -= 1
        return count

    def _find(self, version: int) -> None:
        self._unfound = 0
        if self.upkeep is None:
            self._find_now()
            return
        behind = len(self._finding) == FIND_ORDERS and (self._view.look(lambda now: now.mark(marks.FOUND)) or 0) < self._finding[0]
        self._finding.append(version)
        self._must_find = behind or not self.upkeep.ask(found=version)

    def _find_now(self) -> None:
        self.end()
        handle, newest = self._handle, self._view.latest.version
        self._view.write("noting the transactions of", bodies.find_steps(handle.env, handle.begin_growing, handle.tables, newest))
        self._must_find = False

    def _worth_a_sweep(self) -> int:
        """Stale rows. The more at once the faster they go, but they are to be no large part of a small file."""
        env = self._handle.env
        size = int(env.info()["last_pgno"]) * int(env.stat()["psize"])
        return min(stale.SWEEP, max(UPKEEP_WRITES, size // SWEEP_SHARE // _BYTES_A_ROW))

    # ---- at once ----

    def end(self) -> None:
        """From now on nobody else writes. An I/O error that the process has met is as good as one met here."""
        self._ordered = 0
        self._finding.clear()
        error = self._stop()
        if isinstance(error, StorageIOError):
            self._handle.close()
            raise error

    def settle(self, *, to_prune: bool = False) -> None:
        """Bring the flat table up to the newest version, now. to_prune: the reserve may be used for it."""
        self._handle.check_writable("settle it")
        self.end()  # two that bring it up at once would overwrite new by old
        self._view.drop()
        with self._handle.writing("bringing up the latest values of"):
            _, lag = self._view.now()
            self._view.drop()
            begin = self._handle.begin if to_prune else self._handle.begin_growing
            for _ in catchup.steps(self._handle.env, begin, self._handle.tables, lag.values, lag.newest):
                pass
            self._view.now()  # the lag is forgotten

    def leave_pruning(self) -> None:
        """To the caller, who prunes all there is now."""
        self._prunable = 0

    def _prune(self) -> None:
        self._view.write("pruning", stale.steps(self._handle.env, self._handle.begin, self._handle.tables))
