"""What can go wrong. Every error says what was wrong, where, and what to do; all derive from StorageError."""

from __future__ import annotations


class StorageError(Exception):
    """Base of every error of ioi_storage, wrong arguments (TypeError, ValueError) apart."""


class StateMissing(StorageError):
    """There is no state at this path."""


class StateExists(StorageError):
    """A state cannot be created here: something is there already. `is_state`: that something is a state."""

    def __init__(self, message: str, *, is_state: bool) -> None:
        super().__init__(message)
        self.is_state = is_state


class StateInUse(StorageError):
    """Another process has this state open for writing."""


class NumberTaken(StateInUse):
    """A process in another PID namespace reads this state under the number of this one."""


class StateCorrupt(StorageError):
    """Bytes on the disk are not what was written. Names the row: table, its key, and what is wrong, where known."""

    def __init__(self, message: str, *, table: str | None = None, row: bytes | None = None, why: str | None = None) -> None:
        super().__init__(message)
        self.table = table
        self.row = row
        self.why = why or message


def corrupt(table: str, key: bytes, why: str) -> StateCorrupt:
    """The error that names a row."""
    message = f"row {key.hex()} of table {table!r} is corrupt: {why}; restore this state from a backup or another node"
    return StateCorrupt(message, table=table, row=key, why=why)


class FormatMismatch(StorageError):
    """The state was written by a release with another row layout."""


class UnknownTree(StorageError):
    """No tree of this name is known here."""


class UnorderedTree(StorageError):
    """Asked for an order of keys that the tree of this state does not keep."""


class Unprovable(StorageError):
    """ICS23 has no proof of this; the own format (State.prove) has."""


class VersionMissing(StorageError):
    """The state does not hold this version."""


class RollbackUnfinished(StorageError):
    """A rollback of this state was interrupted, or is under way in another process."""


class StaleStage(StorageError):
    """A staged batch no longer fits the state it was staged on."""


class RootMismatch(StorageError):
    """What was handed in has another root than it should have."""


class BadChunk(StorageError):
    """A chunk of a snapshot that is damaged or belongs to another state. Names it; nothing of it was kept."""


class DiskFull(StorageError):
    """No room on the disk, in the map or in memory. The committed state is as it was; the store stays open."""


class TooManyReaders(StorageError):
    """More reads are open than there is room for. Nothing else is wrong: the store goes on, and reads once some have ended."""


class StorageIOError(StorageError):
    """The operating system failed an operation. An open store has closed itself: open it anew and look at its version."""


class StorageClosed(StorageError):
    """The store is closed."""


def named(name: str) -> type[StorageError]:
    """The error of this name, which another process has met."""
    found = globals().get(name)
    assert isinstance(found, type) and issubclass(found, StorageError), f"no error is called {name!r}"
    return found
