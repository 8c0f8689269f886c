"""A batch applied to a state but not written: the new root, and all rows a commit will write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from .. import _core
from ..errors import StorageIOError
from ..stand import Stand
from .keys import KEY_LIMIT, u64
from .seam import Batch, Effect, Map, ReadNodes, Rows, Tree, TreeHead

_INDEX_WORD = 16  # of struct jf_entry: two hashes come before it
_STALE_VALUE = b"\1"
_PARTS = 8  # a batch is cut into for `map`, where it is not a tree that cuts it
_PART = 256  # writes, at least


@dataclass(frozen=True, eq=False)
class Staged:
    """What `stage` computed on `parent`. Any number may be staged on one parent, one be committed."""

    version: int
    root: bytes
    parent: Stand
    origin: object = field(repr=False)  # the State it was staged on
    pointer: bytes  # the tree's own: where its root row is
    writes: int  # of the batch
    keys: int  # in the state after it
    nodes: Rows = field(repr=False)
    values: Rows = field(repr=False)
    stale: Rows = field(repr=False)
    changes: _core.Writes = field(repr=False)  # the writes that changed something, ascending by key


class Parent(Protocol):
    """The version that a batch is applied to, as it is recorded (rows.VersionRow)."""

    @property
    def version(self) -> int: ...
    @property
    def root(self) -> bytes: ...
    @property
    def head(self) -> bytes: ...
    @property
    def keys(self) -> int: ...


def stage(
    tree: Tree, read: ReadNodes, stand: Stand, parent: Parent, batch: Batch, map: Map, origin: object, memory: Any = None
) -> Staged:
    """Applies `batch` (ascending by key, unique; None deletes) to `parent`, which is what is at `stand`. TypeError or ValueError
    name the write that is wrong."""
    pairs = _core.Writes.of(batch)  # that stay what they are while other threads run
    parts = _parts(len(pairs))
    hashed = list(map(lambda part: _core.hash_batch(pairs, KEY_LIMIT, *part), parts))
    entries = hashed[0] if len(hashed) == 1 else _core.merge_entries(hashed)
    version = parent.version + 1
    update = tree.stage(_one_at_a_time(read), TreeHead(parent.root, parent.head), pairs, entries, version, map, memory)
    effects = update.effects
    keys = parent.keys + effects.count(Effect.INSERTED) - effects.count(Effect.DELETED)
    return Staged(
        version=version,
        root=update.head.root,
        parent=stand,
        origin=origin,
        pointer=update.head.pointer,
        writes=len(pairs),
        keys=keys,
        nodes=update.rows,
        values=_core.Rows(list(map(lambda part: _core.value_rows(version, entries, effects, pairs, *part), parts))),
        stale=_core.Rows([_core.stale_rows(version, update.stale + _tombstones(version, entries, effects))]),
        changes=_changes(entries, effects, pairs),
    )


def _parts(count: int) -> list[tuple[int, int]]:
    """(begin, end) of equal parts of a batch."""
    parts = max(1, min(_PARTS, count // _PART))
    bounds = [count * part // parts for part in range(parts + 1)]
    return list(zip(bounds, bounds[1:]))


def _one_at_a_time(read: ReadNodes) -> ReadNodes:
    """`read` for tasks in several threads: a transaction has room for one.

    Once the disk has failed the store is closed: whoever reads then would say that, and not why."""
    lock = Lock()
    failure: StorageIOError | None = None

    def locked(keys: Sequence[bytes]) -> Sequence[bytes]:
        nonlocal failure
        with lock:
            if failure is not None:
                raise failure
            try:
                return read(keys)
            except StorageIOError as error:
                failure = error
                raise

    return locked


def _tombstones(version: int, entries: bytes, effects: bytes) -> list[bytes]:
    """Records of the rows that keep deletes: only a rebuild of the flat table reads them, so they are born stale."""
    if Effect.DELETED not in effects:
        return []
    head = _STALE_VALUE + u64(version) + b"\x20"
    size = _core.ENTRY_SIZE
    return [head + entries[i * size : i * size + 32] for i, effect in enumerate(effects) if effect == Effect.DELETED]


def _changes(entries: bytes, effects: bytes, batch: _core.Writes) -> _core.Writes:
    if Effect.NOTHING not in effects:
        return batch
    words = _core.ENTRY_SIZE // 4
    indexes = memoryview(entries).cast("I")[_INDEX_WORD::words]
    return _core.Writes.of([batch[index] for index in sorted(index for index, effect in zip(indexes, effects) if effect)])
