"""What a store and an overlay have in common: reading, staging, history."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, Union

from .disk.bodies import Body
from .disk.rows import VersionRow
from .errors import StaleStage, UnorderedTree
from .history import diff, versions
from .history.diff import Change
from .latest.snapshot import RowReader, same
from .proofs import ics23, prove
from .proofs.prove import RangeProof
from .stand import Stand
from .trees import staged
from .trees.keys import check_key
from .trees.seam import Batch, Map, Tree, TreeHead
from .trees.staged import Staged

Pairs = Iterator[tuple[bytes, bytes]]
Version = Union[int, VersionRow]
"""A version by its number, or as `version_row` found it: then VersionMissing if another one has its number by now."""


class State(ABC):
    """A committed state with all its versions."""

    _tree: Tree
    _lineage: object  # another one after a rollback: a version then may be there again, but not the same
    _memory: Any = None  # of the tree (Tree.memory), for this lineage

    # What is stored where is theirs:

    @property
    @abstractmethod
    def latest(self) -> VersionRow:
        """The newest committed version."""

    @property
    @abstractmethod
    def stand(self) -> Stand:
        """Which committed state `latest` is, told from every other one there was or will be."""

    @property
    @abstractmethod
    def oldest(self) -> int:
        """The oldest version that is kept."""

    @abstractmethod
    def version_row(self, version: int) -> VersionRow:
        """What is recorded of a version. VersionMissing if it is not committed, or no longer kept."""

    @abstractmethod
    def body(self, version: Version) -> Body | None:
        """What was given to `commit` as the body of a version. VersionMissing, StateCorrupt."""

    @abstractmethod
    def entry(self, version: Version, index: int) -> tuple[bytes, bytes] | None:
        """Of a body, one transaction and its outcome; None where there is none. VersionMissing, StateCorrupt."""

    @abstractmethod
    def places(self, digest: bytes) -> list[tuple[int, int]]:
        """(version, index) of every transaction with this SHA-256 in the bodies of kept versions, ascending."""

    @abstractmethod
    def commit(
        self, staged: Staged, *, receipts_root: bytes, height: int, header: bytes, transactions: int, failed: int,
        body: Body | None = None,
    ) -> int:
        """Make `staged` the next version, wholly or not at all, and return its number.

        Args: receipts_root 32 bytes; height, transactions (of the block) and failed (of those) below 2**63; header any
        bytes, kept with the version. body: kept too, until the version is pruned; part of no root and no snapshot. StaleStage if it was staged elsewhere or on a version that is not the latest."""

    @abstractmethod
    def overlay(self) -> State:
        """An OverlayStore: a state on top of this one that leaves it untouched."""

    @abstractmethod
    def _latest_value(self, key: bytes) -> bytes | None:
        """Raises as `_check` does."""

    @abstractmethod
    def _latest_values(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    @abstractmethod
    def _latest_pairs(self, start: bytes | None, end: bytes | None, reverse: bool, stand: Stand | None) -> Pairs:
        """stand: which they must be of, or StaleStage; None: the newest when the first is asked for."""

    @abstractmethod
    def _nodes(self, keys: Sequence[bytes]) -> Sequence[bytes]: ...

    @abstractmethod
    def _value_row(self, key: bytes) -> bytes: ...

    @abstractmethod
    def _walking(self) -> AbstractContextManager[RowReader]:
        """All kept versions as of now, in one view until it is left. StaleStage where that cannot be while others commit."""

    @abstractmethod
    def _check(self) -> None:
        """Raises unless the state can be used by this process."""

    # What follows from it:

    @property
    def version(self) -> int:
        return self.latest.version

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self.latest.root

    def found(self, version: Version) -> VersionRow:
        """What is recorded of a version. VersionMissing if there is none, or another one by now."""
        if not isinstance(version, VersionRow):
            return self.version_row(version)
        return same(self.version_row(version.version), version)

    def pinned(self) -> AbstractContextManager[None]:
        """`with state.pinned():` all that is read inside is of one moment, whatever another process commits, prunes or
        rolls back meanwhile; scans and walks begun inside end inside. Only a store open read-only needs it: others change
        by their own doing alone. Pages that the moment needs stay in use until it is left."""
        return nullcontext()

    def get(self, key: bytes, version: Version | None = None) -> bytes | None:
        """The value of `key`, the latest or as of `version`; None if it is absent.

        ValueError if no key can look like this, VersionMissing, StateCorrupt if a row on the way is damaged."""
        check_key(key)
        if version is None:
            return self._latest_value(key)
        self._check()
        with self.pinned():
            return versions.value_in(self._tree, self._nodes, self._value_row, self.found(version), key)

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The latest values of `keys` in their order, None where absent; fastest where the keys ascend."""
        self._check()
        for key in keys:
            check_key(key)
        return self._latest_values(keys)

    def scan(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
        version: Version | None = None,
    ) -> Pairs:
        """Pairs with start <= key < end in the order of the raw keys; None is no bound, start >= end is empty.

        version: None is the latest; an earlier one needs a tree that keeps keys in order (UnorderedTree). Lazy. If the
        state moves on meanwhile, a scan of the latest raises StaleStage rather than mix two versions."""
        self._check()
        if limit is not None and limit < 0:
            raise ValueError(f"limit must not be negative, not {limit}")
        if version is None:
            return islice(self._latest_pairs(start, end, reverse, None), limit)
        with self.pinned():
            row, stand = self.found(version), self.stand
        if row.version == stand.version:
            return islice(self._latest_pairs(start, end, reverse, stand), limit)
        if not self._tree.ordered:
            raise UnorderedTree(
                f"version {row.version} cannot be scanned: tree {self._tree.name!r} keeps keys in the order of their hashes, only "
                f"the latest version ({stand.version}) can be; read single keys, or keep the state on a tree in key order (iavl)"
            )
        return islice(self._pairs_at(row, start, end, reverse), limit)

    def _pairs_at(self, row: VersionRow, start: bytes | None, end: bytes | None, reverse: bool) -> Pairs:
        with self._walking() as rows:
            yield from versions.pairs(self._tree, rows, row, start, end, reverse)

    def _row_of(self, version: Version | None) -> VersionRow:
        return self.latest if version is None else self.found(version)

    def pairs(self, version: Version | None = None) -> Pairs:
        """All pairs of a version (None: the latest) in the order of its tree, each checked against it: by key, or by the
        hash of the key (Jellyfish). Lazy; a store on disk may move on meanwhile, others raise StaleStage."""
        self._check()
        return self._pairs_at(self._row_of(version), None, None, False)

    def diff(self, old: Version, new: Version) -> Iterator[Change]:
        """The keys whose values are not the same in two kept versions, in the order of the tree; lazy, as `pairs`.

        Costs what changed, not what is there. Either version may be the earlier one."""
        self._check()
        return self._diff(self.found(old), self.found(new))

    def _diff(self, old: VersionRow, new: VersionRow) -> Iterator[Change]:
        with self._walking() as rows:
            yield from diff.changes(self._tree, rows, old, new)

    def prove(self, keys: Iterable[bytes], version: Version | None = None) -> bytes:
        """The proof of what each of `keys` is, its value or absent, in `version` (None: the latest): for verify.py."""
        self._check()
        listed = list(keys)
        for key in listed:
            check_key(key)
        with self.pinned():
            row = self._row_of(version)
            return prove.prove(self._tree, self._nodes, TreeHead(row.root, row.head), listed)

    def prove_ics23(self, key: bytes, version: Version | None = None) -> bytes:
        """The same of one key as an ICS23 CommitmentProof, which other implementations verify: see ics23.py. Unprovable if
        ics23 cannot say it."""
        self._check()
        check_key(key)
        with self.pinned():
            row = self._row_of(version)
            head = TreeHead(row.root, row.head)
            return ics23.prove(self._tree, self._nodes, head, key, lambda leaf: versions.value_of(leaf, self._value_row))

    def prove_range(
        self,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        version: Version | None = None,
        limit: int | None = None,
    ) -> RangeProof:
        """All pairs with start <= place < end and the proof of it; None is no bound. A place is what the tree sorts by:
        on Jellyfish a key hash, on IAVL a key."""
        self._check()
        with self.pinned():
            row = self._row_of(version)
            head = TreeHead(row.root, row.head)
            return prove.prove_range(
                self._tree, self._nodes, head, start, end, limit, lambda leaf: versions.value_of(leaf, self._value_row)
            )

    def stage(self, batch: Batch, *, map: Map = builtins.map) -> Staged:
        """Compute the next version without writing it.

        batch: (key, value or None to delete), ascending by key, unique. Deleting an absent key does nothing. `map` may run
        parts of the work at the same time, see `Threads`; what is staged does not depend on it. TypeError or ValueError
        name the write that is wrong."""
        self._check()
        with self.pinned():
            return staged.stage(self._tree, self._nodes, self.stand, self.latest, batch, map, self._lineage, self._memory)

    def _check_staged(self, staged: Staged) -> None:
        if not isinstance(staged, Staged):
            raise TypeError(f"staged is {type(staged).__name__}: give what stage returned")
        if staged.origin is not self._lineage:
            raise StaleStage("this batch was staged on another state, or before a rollback: stage it anew")
        now = self.stand
        if staged.parent != now:
            raise StaleStage(f"this batch no longer fits, {staged.parent.moved_to(now)}: stage it anew")
