"""A state in memory on top of another, which it never writes to: for dry runs and sandboxes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256

from .disk.bodies import Body
from .disk.commit import version_row
from .disk.rows import VersionRow
from .errors import StaleStage, StorageClosed, VersionMissing
from .latest.snapshot import RowReader
from .stand import Stand
from .state import Pairs, State, Version
from .trees.keys import check_number
from .trees.seam import ReadNodes
from .trees.staged import Staged


class OverlayStore(State):
    """Commits stay here; closing drops them. It stands on the base's version as of its opening: a base that moves on
    makes it useless (StaleStage)."""

    def __init__(self, base: State) -> None:
        base._check()
        self._base = base
        self._tree = base._tree
        self._lineage = object()
        self._base_lineage = base._lineage
        with base.pinned():
            self._base_row, self._base_stand = base.latest, base.stand
        self._versions: list[VersionRow] = []
        self._rows: dict[bytes, bytes] = {}  # of tables nodes and values; their keys differ in length or version
        self._writes: dict[bytes, bytes | None] = {}
        self._bodies: dict[int, Body] = {}
        self._sorted: list[bytes] | None = None
        self._open = True

    def close(self) -> None:
        """Drop everything. Idempotent."""
        self._open = False
        self._versions.clear()
        self._rows.clear()
        self._writes.clear()
        self._bodies.clear()
        self._sorted = None

    @property
    def closed(self) -> bool:
        return not self._open

    def __enter__(self) -> OverlayStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self) -> None:
        if not self._open:
            raise StorageClosed("the overlay is closed: open another")
        self._base._check()
        self._check_below(self._base.stand)

    def _check_below(self, now: Stand) -> None:
        if now != self._base_stand or self._base._lineage is not self._base_lineage:
            raise StaleStage(f"what is below the overlay is no longer there, {self._base_stand.moved_to(now)}: open another overlay")

    def writes(self) -> dict[bytes, bytes | None]:
        """Every key written since the overlay was opened and changed by it, with its newest value (None: deleted)."""
        self._check()
        return dict(self._writes)

    @property
    def latest(self) -> VersionRow:
        self._check()
        return self._versions[-1] if self._versions else self._base_row

    @property
    def stand(self) -> Stand:
        latest = self.latest
        return self._base_stand._replace(version=latest.version, root=latest.root)

    @property
    def oldest(self) -> int:
        self._check()
        return self._base.oldest

    def pinned(self) -> AbstractContextManager[None]:
        return self._base.pinned()

    def version_row(self, version: int) -> VersionRow:
        check_number("version", version, 64)
        with self._base.pinned():
            self._check()
            return self._row(version, self._base.version_row)

    def _row(self, version: int, below: Callable[[int], VersionRow]) -> VersionRow:
        above = version - self._base_row.version
        if above <= 0:
            return below(version)
        if above > len(self._versions):
            raise VersionMissing(f"version {version} is not committed yet: the latest is {self._base_row.version + len(self._versions)}")
        return self._versions[above - 1]

    def body(self, version: Version) -> Body | None:
        with self._base.pinned():
            row = self.found(version)
            return self._base.body(version) if row.version <= self._base_row.version else self._bodies.get(row.version)

    def entry(self, version: Version, index: int) -> tuple[bytes, bytes] | None:
        with self._base.pinned():
            row = self.found(version)
            if row.version <= self._base_row.version:
                return self._base.entry(version, index)
            body = self._bodies.get(row.version)
            return None if body is None or index >= len(body.txs) else (body.txs[index], body.outcome(index))

    def places(self, digest: bytes) -> list[tuple[int, int]]:
        with self._base.pinned():
            self._check()
            return self._base.places(digest) + [
                (version, index)
                for version, body in self._bodies.items()
                for index, tx in enumerate(body.txs)
                if sha256(tx).digest() == digest
            ]

    def commit(
        self, staged: Staged, *, receipts_root: bytes, height: int, header: bytes, transactions: int, failed: int,
        body: Body | None = None,
    ) -> int:
        self._check()
        self._check_staged(staged)
        row = version_row(
            staged, receipts_root=receipts_root, height=height, header=header, transactions=transactions, failed=failed
        )
        self._rows.update(staged.nodes)
        self._rows.update(staged.values)
        self._writes.update(staged.changes)
        self._sorted = None
        self._versions.append(row)
        if body is not None:
            self._bodies[row.version] = body
        return row.version

    def overlay(self) -> OverlayStore:
        """A state on top of this one that leaves it untouched."""
        return OverlayStore(self)

    def _latest_value(self, key: bytes) -> bytes | None:
        with self._base.pinned():
            self._check()
            return self._writes[key] if key in self._writes else self._base._latest_value(key)

    def _latest_values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._base.pinned():
            self._check()
            below = iter(self._base._latest_values([key for key in keys if key not in self._writes]))
            return [self._writes[key] if key in self._writes else next(below) for key in keys]

    def _latest_pairs(self, start: bytes | None, end: bytes | None, reverse: bool, stand: Stand | None) -> Pairs:
        """The base's pairs and our writes, merged; ours win."""
        now = self.stand
        if stand is not None and now != stand:
            raise StaleStage(f"{stand.moved_to(now)}: scan again")
        version = now.version
        if end is not None and end <= (start or b""):
            return
        ours = iter(self._written_between(start, end, reverse))
        theirs = self._base._latest_pairs(start, end, reverse, self._base_stand)
        key, pair = next(ours, None), next(theirs, None)
        while key is not None or pair is not None:
            if pair is None or (key is not None and (key >= pair[0] if reverse else key <= pair[0])):
                assert key is not None
                value = self._writes[key]
                if pair is not None and pair[0] == key:
                    pair = next(theirs, None)
                if value is not None:
                    yield key, value
                    self._check_unmoved(version)
                key = next(ours, None)
            else:
                yield pair
                self._check_unmoved(version)
                pair = next(theirs, None)

    def _check_unmoved(self, version: int) -> None:
        if self.version != version:
            raise StaleStage(f"the overlay moved from version {version} during a scan: scan again")

    def _written_between(self, start: bytes | None, end: bytes | None, reverse: bool) -> list[bytes]:
        if self._sorted is None:
            self._sorted = sorted(self._writes)
        low = bisect_left(self._sorted, start or b"")
        high = len(self._sorted) if end is None else bisect_left(self._sorted, end)
        keys = self._sorted[low:high]
        return keys[::-1] if reverse else keys

    def _nodes(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        return self._merged(keys, self._base._nodes)

    def _merged(self, keys: Sequence[bytes], read_below: ReadNodes) -> list[bytes]:
        below = [key for key in keys if key not in self._rows]
        read = dict(zip(below, read_below(below))) if below else {}
        return [self._rows.get(key) or read[key] for key in keys]

    def _value_row(self, key: bytes) -> bytes:
        return self._rows.get(key) or self._base._value_row(key)

    @contextmanager
    def _walking(self) -> Iterator[RowReader]:
        stand = self.stand
        with self._base._walking() as below:
            self._check_below(below.stand())

            def nodes(keys: Sequence[bytes]) -> Sequence[bytes]:
                self._check_unmoved(stand.version)
                return self._merged(keys, below.nodes)

            def value(key: bytes) -> bytes:
                return self._rows.get(key) or below.value(key)

            yield RowReader(lambda: stand, lambda number: self._row(number, below.version_row), nodes, value)
