"""What the consensus was set to after each height: beside the state, for nothing of it is a VM's.

A row says what holds from its height on. The row of a height is durable before the state's version of it is committed, and rows above the
state's height count for nothing: the block is executed again, and writes them anew. So whatever of the two a crash leaves out, they agree.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from ioi_exec.errors import ResourceError, StateCorrupt
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.wire import Malformed


class Records:
    """May be asked from any thread."""

    def __init__(self, path: Path | None) -> None:
        """path: of a file that may not be there yet; None: in memory. Raises StateCorrupt, ResourceError."""
        self._lock = threading.Lock()
        self._path = path
        with self._told():
            self._rows = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False, isolation_level=None)
            self._rows.execute("PRAGMA synchronous = FULL")
            self._rows.execute("CREATE TABLE IF NOT EXISTS consensus (height INTEGER PRIMARY KEY, data BLOB NOT NULL)")

    def at(self, height: int) -> Consensus | None:
        """What holds after the block of this height; None: the chain has not begun."""
        with self._lock, self._told():
            row = self._rows.execute("SELECT data FROM consensus WHERE height <= ? ORDER BY height DESC LIMIT 1", (height,)).fetchone()
            return None if row is None else Consensus.decode(row[0])

    def put(self, height: int, consensus: Consensus) -> None:
        """What holds from this height on, durable on return. Later rows go."""
        data = consensus.encode()
        with self._lock, self._told():
            self._rows.execute("BEGIN IMMEDIATE")
            try:
                self._rows.execute("DELETE FROM consensus WHERE height >= ?", (height,))
                before = self._rows.execute("SELECT data FROM consensus ORDER BY height DESC LIMIT 1").fetchone()
                if before is None or before[0] != data:
                    self._rows.execute("INSERT INTO consensus VALUES (?, ?)", (height, data))
                self._rows.execute("COMMIT")
            except BaseException:
                self._rows.execute("ROLLBACK")
                raise

    def begin(self, height: int, consensus: Consensus) -> None:
        """What holds from this height on, and nothing of before: the state begins there. Durable on return."""
        with self._lock, self._told():
            self._rows.execute("BEGIN IMMEDIATE")
            try:
                self._rows.execute("DELETE FROM consensus")
                self._rows.execute("INSERT INTO consensus VALUES (?, ?)", (height, consensus.encode()))
                self._rows.execute("COMMIT")
            except BaseException:
                self._rows.execute("ROLLBACK")
                raise

    def oldest(self) -> int | None:
        """The height of the first row."""
        with self._lock, self._told():
            found: int | None = self._rows.execute("SELECT min(height) FROM consensus").fetchone()[0]
            return found

    def newest(self) -> int | None:
        """The height of the last row."""
        with self._lock, self._told():
            found: int | None = self._rows.execute("SELECT max(height) FROM consensus").fetchone()[0]
            return found

    def close(self) -> None:
        with self._lock:
            self._rows.close()

    def _told(self) -> _Told:
        return _Told(self._path)


class _Told:
    """What SQLite raises leaves as the engine's own errors."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (sqlite3.OperationalError, OSError)):
            raise ResourceError(f"{self._path}: {error}: what the consensus is set to cannot be read or written") from error
        if isinstance(error, (sqlite3.DatabaseError, Malformed)):
            raise StateCorrupt(f"{self._path}: {error}: what the consensus is set to is damaged; restore it from a backup") from error
