"""Reading a state in a worker process: cheap to import, one environment, one transaction at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lmdb

from ..disk.environment import open_tables, translate, translated
from ..disk.place import Place
from ..errors import StorageClosed, StorageError
from ..stand import Stand
from ..trees.keys import check_key
from .follow import Follower
from .lag import Lag, merged
from .snapshot import Snapshot


class Reader:
    """Made from `Store.reader_spec()` in another process than the store's, which has inherited `Store.inherit_fds()` or been sent
    them; without "fd" in the spec the state is found by its path. StateMissing or StaleStage unless it is the store's.

    lag: False for a caller who lays `Store.lagging()` over what he gets, which saves reading that from the disk."""

    def __init__(self, spec: dict[str, Any], *, lag: bool = True) -> None:
        place = Place.of(spec)
        self._path, self._file = place.path, place.file
        self._env = place.open(read_only=True)
        self._tables = open_tables(self._env, create=False)
        self._snapshot: Snapshot | None = None
        self._lags = lag
        self._lag = Lag(0)
        self._lagging = self._lag.values
        self._follower = Follower()
        self._open = True

    def begin(self) -> Stand:
        """Open a read transaction on the newest version, and return which that is. Ends an earlier one.

        RollbackUnfinished while the state is being rolled back."""
        self.end()
        if not self._open:
            raise StorageClosed("the reader is closed")
        try:
            snapshot = Snapshot(self._env, self._tables)
            try:
                snapshot.refuse_rollback(self._path)
                stand = snapshot.stand(self._file)
                lag = self._follower.fit(snapshot) if self._lags else Lag(stand.version)
            except BaseException:  # nobody may read it without its lag
                snapshot.close()
                raise
        except lmdb.Error as error:
            raise translate(error, "opening a read transaction") from error
        self._snapshot, self._lag, self._lagging = snapshot, lag, lag.values
        return stand

    def catch_up(self) -> None:
        """Lay the lag under what is scanned until the transaction ends; of use where `lag` is False."""
        try:
            self._lag = self._follower.fit(self._now())
        except lmdb.Error as error:
            raise translate(error, "reading what lags") from error

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
        check_key(key)
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
        newest = self._lag.share()
        keys = newest.between(start, end, reverse)
        with translated("scanning"):
            yield from merged(newest.values, keys, snapshot.scan(start, end, reverse), reverse)

    def _now(self) -> Snapshot:
        if self._snapshot is None:
            raise StorageError("there is no read transaction: call begin first")
        return self._snapshot
