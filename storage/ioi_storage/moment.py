"""One committed version of a store as it is read beside the thread that writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from .disk import bodies, marks
from .disk.rows import VersionRow
from .errors import StorageError
from .latest.moments import Moments, Seen
from .latest.snapshot import RowReader, Snapshot
from .stand import Stand
from .state import Pairs, State, Version
from .trees.keys import check_number
from .trees.seam import Tree


class Moment(State):
    """A State that does not change, until it is left. For one thread at a time; made by `Store.moment`."""

    def __init__(self, seen: Seen, moments: Moments, tree: Tree, lineage: object) -> None:
        self._seen = seen
        self._moments = moments
        self._tree = tree
        self._lineage = lineage

    @property
    def latest(self) -> VersionRow:
        return self._seen.latest

    @property
    def stand(self) -> Stand:
        return self._seen.stand

    @property
    def meta(self) -> dict[str, Any]:
        """As of `Store.meta`."""
        return self._seen.read(Snapshot.creation).meta

    @property
    def oldest(self) -> int:
        return self._seen.read(lambda snapshot: snapshot.needed_mark(marks.OLDEST))

    def version_row(self, version: int) -> VersionRow:
        check_number("version", version, 64)
        return self._seen.read(lambda snapshot: snapshot.version_row(version))

    def body(self, version: Version) -> bodies.Body | None:
        row = self.found(version)
        return self._seen.read(lambda snapshot: snapshot.body(row.version))

    def entry(self, version: Version, index: int) -> tuple[bytes, bytes] | None:
        check_number("index", index, 32)
        row = self.found(version)
        return self._seen.read(lambda snapshot: snapshot.entry(row.version, index))

    def places(self, digest: bytes) -> list[tuple[int, int]]:
        return self._seen.read(lambda snapshot: snapshot.places(digest))

    def commit(self, *_: object, **__: object) -> NoReturn:
        raise StorageError("a moment of a state is only read: commit to the store")

    def overlay(self) -> NoReturn:
        raise StorageError("a moment of a state ends: open the overlay on the store")

    def _latest_value(self, key: bytes) -> bytes | None:
        return self._seen.value(key)

    def _latest_values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._seen.value(key) for key in keys]

    def _latest_pairs(self, start: bytes | None, end: bytes | None, reverse: bool, stand: Stand | None) -> Pairs:
        return self._seen.pairs(start, end, reverse)

    def _nodes(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        return self._seen.read(lambda snapshot: snapshot.nodes(keys))

    def _value_row(self, key: bytes) -> bytes:
        return self._seen.read(lambda snapshot: snapshot.value_row(key))

    @contextmanager
    def _walking(self) -> Iterator[RowReader]:
        yield RowReader(lambda: self.stand, self.version_row, self._nodes, self._value_row)

    def end(self) -> None:
        """Whoever still reads from it raises StaleStage."""
        self._seen.close()

    def _check(self) -> None:
        self._moments.handle.check()
