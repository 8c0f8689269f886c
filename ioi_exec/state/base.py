"""The committed state as executors see it, and the store's errors as the engine's own."""

from __future__ import annotations

import errno
from types import TracebackType
from typing import Any, Callable, Iterator, Mapping, Sequence

import ioi_storage
from ioi_storage import Stand, State

from ioi_exec import errors
from ioi_exec.state.cache import CommittedCache, Lookup, Newest

_TRANSLATED: Mapping[str, type[errors.Error]] = {
    "StateMissing": errors.StateMissing,
    "StateExists": errors.StateExists,
    "StateInUse": errors.StateInUse,
    "StateCorrupt": errors.StateCorrupt,
    "FormatMismatch": errors.StateError,
    "UnknownTree": errors.InputError,
    "UnorderedTree": errors.InputError,
    "Unprovable": errors.InputError,
    "VersionMissing": errors.VersionMissing,
    "RollbackUnfinished": errors.StateInUse,
    "NumberTaken": errors.StateInUse,
    "RootMismatch": errors.Diverged,
    "BadChunk": errors.InputError,
    "StaleStage": errors.StaleResult,
    "StorageClosed": errors.MachineClosed,
    "DiskFull": errors.ResourceError,
    "TooManyReaders": errors.ResourceError,
    "StorageIOError": errors.ResourceError,
    "StorageError": errors.StateError,
}

# The system's way of saying that a path is not one to use, rather than that the disk failed.
_WRONG_PATH = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}

# What py-lmdb (pinned) says when one process opens a state twice, which LMDB forbids even for reading.
_OPEN_HERE = "is already open in this process"


_NO_LOCK = ("can't allocate lock", "can't allocate read lock")  # what CPython says where it has no memory for one


class _MemoryErrors:
    def __init__(self, theirs: Callable[[TracebackType | None], bool] | None = None) -> None:
        self._theirs = theirs

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and self._theirs is not None and self._theirs(error.__traceback__):
            return
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and str(error) in _NO_LOCK):
            raise errors.ResourceError(
                "memory ran out: nothing came of it, and the committed state is as it was. Free memory, or raise the limit of this "
                "process (ulimit -v)"
            ) from error


class _StorageErrors(_MemoryErrors):
    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, ioi_storage.StorageError):
            raise translated(error) from error
        super().__exit__(kind, error, trace)


_storage_errors = _StorageErrors()


def memory_errors(theirs: Callable[[TracebackType | None], bool] | None = None) -> _MemoryErrors:
    """`with memory_errors():` a MemoryError leaves as a ResourceError. theirs: whether one with this traceback is the calling
    program's own, which leaves as it is."""
    return _MemoryErrors(theirs)


def storage_errors() -> _StorageErrors:
    """`with storage_errors():` what ioi_storage raises leaves as an ioi_exec.Error with the same text, a MemoryError as above."""
    return _storage_errors  # it holds nothing; a generator would cost more than a read


def translated_by_name(name: str, text: str) -> errors.Error:
    """What another process could only say the name and the text of."""
    return _TRANSLATED.get(name, errors.StateError)(text)


def translated(error: ioi_storage.StorageError) -> errors.Error:
    if _OPEN_HERE in str(error):
        return errors.StateInUse(f"{error} Use the machine that has it open, or close that one first")
    cause = error.__cause__
    # Of OSError and lmdb.Error. What another process has met comes without its cause: a state was open then, so the path was right.
    wrong_path = getattr(cause, "errno", getattr(cause, "code", None)) in _WRONG_PATH
    if isinstance(error, ioi_storage.StorageIOError) and wrong_path:
        return errors.StateError(str(error))
    for cls in type(error).__mro__:
        if cls.__name__ in _TRANSLATED:
            return _TRANSLATED[cls.__name__](str(error))
    raise AssertionError("every error of ioi_storage derives from StorageError")


class CommittedVersion:
    """An earlier version, to read."""

    def __init__(self, layer: State, row: ioi_storage.VersionRow) -> None:
        self._layer = layer
        self._row = row

    def get(self, key: bytes) -> bytes | None:
        with storage_errors():
            return self._layer.get(key, self._row) if 0 < len(key) <= ioi_storage.key_limit else None

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        with storage_errors():
            yield from self._layer.scan(start, end, reverse=reverse, version=self._row)


class CommittedState:
    """A BaseState over a machine's layers: its store, and the overlay of each sandbox on top of it. cache: of the store."""

    def __init__(self, layers: Sequence[State], cache: CommittedCache | None = None) -> None:
        self.cache = cache
        self._store = layers[0]
        self._overlays = layers[1:]
        self._top = layers[-1]

    @property
    def store_stand(self) -> Stand:
        with storage_errors():
            return self._store.stand

    def get(self, key: bytes) -> bytes | None:
        if not 0 < len(key) <= ioi_storage.key_limit:
            return None  # nothing can be stored there
        try:  # not `with storage_errors()`: it would cost as much as the read
            return self._top.get(key)
        except ioi_storage.StorageError as error:
            raise translated(error) from error

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, which are within the store's limits and ascend."""
        with storage_errors():
            return self._top.getmulti(keys)

    def scan(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        with storage_errors():
            yield from self._top.scan(start, end, reverse=reverse)

    def reader_spec(self) -> dict[str, Any]:
        assert isinstance(self._store, ioi_storage.Store)
        with storage_errors():
            return self._store.reader_spec()

    def inherit_fds(self) -> list[int]:
        assert isinstance(self._store, ioi_storage.Store)
        with storage_errors():
            return self._store.inherit_fds()

    def forget_dead_readers(self) -> None:
        assert isinstance(self._store, ioi_storage.Store)
        with storage_errors():
            self._store.reader_check()

    def overlay_writes(self) -> dict[bytes, bytes | None]:
        """What workers do not find in the flat table: the writes that lag behind it, and those of the sandboxes."""
        assert isinstance(self._store, ioi_storage.Store)
        with storage_errors():
            return self._over(self._store.lagging())

    def lookup(self) -> Lookup | None:
        assert isinstance(self._store, ioi_storage.Store)
        if self.cache is None or self._overlays:
            return None
        with storage_errors():
            return self.cache.lookup(self._store, self.getmulti)

    def fetch(self, keys: Sequence[bytes]) -> None:
        """Bring committed values, of keys that ascend, into the cache: at once, and in this process. Between blocks."""
        lookup = self.lookup()
        if lookup is None:
            return
        missing = [key for key in keys if lookup.cache.get(key) is None]
        if missing:
            lookup.getmulti(missing)
            lookup.keep()

    def beneath(self) -> tuple[dict[bytes, bytes | None], bool]:
        """The same for workers that read the cache: what it had no room for, and the writes of the sandboxes; and whether there is
        a cache. No worker may be in a block."""
        assert isinstance(self._store, ioi_storage.Store)
        with storage_errors():
            spilled = self.cache.fit(self._store) if self.cache is not None else None
            return self._over(self._store.lagging() if spilled is None else spilled), spilled is not None

    def _over(self, writes: Newest) -> dict[bytes, bytes | None]:
        over = dict(writes)
        for overlay in self._overlays:
            assert isinstance(overlay, ioi_storage.OverlayStore)
            over.update(overlay.writes())
        return over
