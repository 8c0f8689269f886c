"""The lag of a state in use, made to fit one snapshot after another. Nobody else decides what a lag must hold."""

from __future__ import annotations

from collections.abc import Mapping

from ..disk import marks
from .lag import Changes, Lag
from .snapshot import Snapshot


class Follower:
    """Snapshots come as they are taken: each is of the same moment as the one before, or of a later one."""

    def __init__(self) -> None:
        self._lag: Lag | None = None  # fits the snapshot fitted last, or is ahead of it by what was committed since
        self._rollbacks: int | None = None  # mark `rollbacks` when it was begun
        self._transaction: int | None = None  # number of the last one that the snapshot fitted last sees

    def fit(self, snapshot: Snapshot, known: Mapping[int, Changes] = {}) -> Lag:
        """The writes of the versions above the mark of this snapshot, up to the newest in it: these, and no others.

        known: those of some versions, which need not be read."""
        if self._lag is not None and self._transaction == snapshot.id:
            return self._lag
        flat, latest, rollbacks = snapshot.needed_mark(marks.FLAT), snapshot.latest(), snapshot.mark(marks.ROLLBACKS)
        lag, self._lag = self._lag, None  # none is left by whatever interrupts what changes it
        if lag is None or rollbacks != self._rollbacks:
            # None yet, or of versions that were rolled back, here or beside us. Roots would not tell: the same one may
            # have been come to again by other writes.
            lag = Lag(flat)
        lag.forget(flat)
        for version in range(lag.newest + 1, latest.version + 1):
            lag.add(version, known[version] if version in known else snapshot.changes(version))
        assert (lag.flat, lag.newest) == (flat, max(flat, latest.version)), "a lag fits the snapshot it is read with"
        self._lag, self._rollbacks, self._transaction = lag, rollbacks, snapshot.id
        return lag

    @property
    def writes(self) -> int:
        """How many lag behind the snapshot fitted last, and were committed since."""
        return 0 if self._lag is None else self._lag.writes

    def since(self, version: int) -> tuple[int, int, int]:
        """As of the lag, which also holds what was committed since a snapshot was fitted."""
        return (0, 0, 0) if self._lag is None else self._lag.since(version)

    @property
    def room(self) -> int:
        """Bytes that the flat table may grow by, of all that lags."""
        return 0 if self._lag is None else self._lag.room

    @property
    def newest_room(self) -> int:
        """Of the version that was committed last."""
        return 0 if self._lag is None else self._lag.newest_room

    def committed(self, version: int, changes: Changes) -> None:
        """A version that this process has committed, which need not be read again. `fit` was called just before it."""
        lag, self._lag = self._lag, None
        assert lag is not None, "whoever commits has looked at the newest version"
        lag.add(version, changes)
        self._lag = lag
