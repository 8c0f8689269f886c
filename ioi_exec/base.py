"""The committed state as executors see it, and the store's errors as the engine's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Mapping

import ioi_storage

from ioi_exec import errors

_TRANSLATED: Mapping[str, type[errors.Error]] = {
    "StateMissing": errors.StateMissing,
    "StateExists": errors.StateExists,
    "StateInUse": errors.StateInUse,
    "StateCorrupt": errors.StateCorrupt,
    "FormatMismatch": errors.StateError,
    "UnknownTree": errors.InputError,
    "VersionMissing": errors.VersionMissing,
    "StaleStage": errors.StaleResult,
    "StorageClosed": errors.MachineClosed,
    "DiskFull": errors.ResourceError,
    "StorageIOError": errors.ResourceError,
}


@contextmanager
def storage_errors() -> Iterator[None]:
    """What ioi_storage raises leaves as an ioi_exec.Error with the same text."""
    try:
        yield
    except ioi_storage.StorageError as error:
        raise translated(error) from error


def translated(error: ioi_storage.StorageError) -> errors.Error:
    for cls in type(error).__mro__:
        if cls.__name__ in _TRANSLATED:
            return _TRANSLATED[cls.__name__](str(error))
    return errors.StateError(str(error))


class CommittedState:
    """A BaseState over a store, or over a sandbox's overlay of one."""

    def __init__(self, store: ioi_storage.Store | ioi_storage.OverlayStore) -> None:
        self._store = store

    @property
    def version(self) -> int:
        return self._store.version

    def get(self, key: bytes) -> bytes | None:
        if not 0 < len(key) <= ioi_storage.key_limit:
            return None  # nothing can be stored there
        with storage_errors():
            return self._store.get(key)

    def scan(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        with storage_errors():
            yield from self._store.scan(start, end, reverse=reverse)

    def reader_spec(self) -> dict[str, Any]:
        return self._store.reader_spec()

    def inherit_fds(self) -> list[int]:
        return self._store.inherit_fds()

    def overlay_writes(self) -> dict[bytes, bytes | None]:
        if isinstance(self._store, ioi_storage.OverlayStore):
            return self._store.writes()
        return {}
