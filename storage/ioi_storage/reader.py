"""Reading a state in a worker process: cheap to import, one environment, one transaction at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lmdb

from .disk import marks
from .disk.environment import (
    open_environment,
    open_memory,
    open_tables,
    translate,
    translated,
)
from .disk.rows import KEY_LIMIT
from .errors import StorageClosed, StorageError
from .history.snapshot import Snapshot
from .latest.lag import merged


class Reader:
    """Made from `Store.reader_spec()` in another process than the store's.

    lag: False for a caller who lays `Store.lagging()` over what he reads, which saves reading that from the disk."""

    def __init__(self, spec: dict[str, Any], *, lag: bool = True) -> None:
        map_size = spec["map_size"]
        if "fd" in spec:
            self._env, _ = open_memory(spec["fd"], read_only=True, map_size=map_size)
        else:
            self._env, _ = open_environment(spec["path"], read_only=True, map_size=map_size)
        self._tables = open_tables(self._env, create=False)
        self._snapshot: Snapshot | None = None
        self._lags = lag
        self._lagging: dict[bytes, bytes | None] = {}
        self._open = True

    def begin(self) -> int:
        """Open a read transaction on the newest version, and return that. Ends an earlier one."""
        self.end()
        if not self._open:
            raise StorageClosed("the reader is closed")
        try:
            snapshot = Snapshot(self._env, self._tables)
            try:
                version = snapshot.latest().version
                lagging = self._lag_of(snapshot, version) if self._lags else {}
            except BaseException:  # nobody may read it without its lag
                snapshot.close()
                raise
        except lmdb.Error as error:
            raise translate(error, "opening a read transaction") from error
        self._snapshot, self._lagging = snapshot, lagging
        return version

    @staticmethod
    def _lag_of(snapshot: Snapshot, version: int) -> dict[bytes, bytes | None]:
        values: dict[bytes, bytes | None] = {}
        for lagging in range(snapshot.needed_mark(marks.FLAT) + 1, version + 1):
            values.update(snapshot.changes(lagging))
        return values

    def end(self) -> None:
        """End the read transaction. Idempotent."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def close(self) -> None:
        """Idempotent."""
        self.end()
        if self._open:
            self._open = False
            self._env.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, None if absent. ValueError if no key can look like this."""
        if not 1 <= len(key) <= KEY_LIMIT:
            raise ValueError(f"a key has 1 to {KEY_LIMIT} bytes, this one {len(key)}")
        try:
            return self._lagging[key] if key in self._lagging else self._now().get(key)
        except lmdb.Error as error:
            raise translate(error, "reading") from error

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys` in their order, None where absent. Fastest where the keys ascend."""
        try:
            if not self._lagging:
                return self._now().getmulti(keys)
            below = iter(self._now().getmulti([key for key in keys if key not in self._lagging]))
            return [self._lagging[key] if key in self._lagging else next(below) for key in keys]
        except lmdb.Error as error:
            raise translate(error, "reading") from error

    def scan(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end in key order, until the transaction ends; None is no bound."""
        return self._pairs(self._now(), start, end, reverse)

    def _pairs(
        self, snapshot: Snapshot, start: bytes | None, end: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        lagging = self._lagging
        keys = sorted((key for key in lagging if (start or b"") <= key and (end is None or key < end)), reverse=reverse)
        with translated("scanning"):
            yield from merged(lagging, keys, snapshot.scan(start, end, reverse), reverse)

    def _now(self) -> Snapshot:
        if self._snapshot is None:
            raise StorageError("there is no read transaction: call begin first")
        return self._snapshot
