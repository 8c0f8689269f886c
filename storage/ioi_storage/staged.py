"""A batch applied to a state but not written: the new root, and all rows a commit will write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from . import _core
from .rows import KEY_LIMIT, VersionRow, encode_value, stale_rows, value_key
from .trees import Effect, Map, ReadNodes, Tree, TreeHead

Batch = Sequence[tuple[bytes, "bytes | None"]]

_ENTRY = struct.Struct("=32s32sII")  # struct jf_entry
assert _ENTRY.size == _core.ENTRY_SIZE

_KEYS_ADDED = {Effect.INSERTED: 1, Effect.DELETED: -1}


@dataclass(frozen=True)
class Staged:
    """What `stage` computed on version `parent_version`. Any number may be staged on one parent, one be committed."""

    version: int
    root: bytes
    parent_version: int
    parent_root: bytes
    origin: object  # the State it was staged on
    pointer: bytes  # the tree's own: where its root row is
    writes: int  # of the batch
    keys: int  # in the state after it
    nodes: list[tuple[bytes, bytes]]  # ascending, as all tables below
    values: list[tuple[bytes, bytes]]
    stale: list[tuple[bytes, bytes]]
    changes: list[tuple[bytes, bytes | None]]  # the writes that changed something, ascending by key


def stage(tree: Tree, read: ReadNodes, parent: VersionRow, batch: Batch, map: Map, origin: object) -> Staged:
    """Applies `batch` (ascending by key, unique; None deletes). TypeError or ValueError name the write that is wrong."""
    entries = _core.hash_batch(batch, KEY_LIMIT)
    version = parent.version + 1
    update = tree.stage(read, TreeHead(parent.root, parent.head), entries, version, map)
    values, stale, changed, keys = [], list(update.stale), [], parent.keys
    tombstones = bytearray()
    for (key_hash, _, index, is_put), effect in zip(_ENTRY.iter_unpack(entries), update.effects):
        if effect == Effect.NOTHING:
            continue
        row_key = value_key(version, key_hash)
        values.append((row_key, encode_value(row_key, *batch[index])))
        changed.append(index)
        keys += _KEYS_ADDED.get(effect, 0)
        if not is_put:
            # Only a rebuild of the flat table reads a delete's row: it is stale as soon as it is written.
            tombstones += b"\1" + row_key[:8] + b"\x20" + key_hash
    stale += [bytes(tombstones[at : at + 1886]) for at in range(0, len(tombstones), 1886)]
    changed.sort()
    return Staged(
        version=version,
        root=update.head.root,
        parent_version=parent.version,
        parent_root=parent.root,
        origin=origin,
        pointer=update.head.pointer,
        writes=len(batch),
        keys=keys,
        nodes=update.rows,
        values=values,
        stale=stale_rows(version, stale),
        changes=[batch[index] for index in changed],
    )


def version_row(
    staged: Staged, *, receipts_root: bytes, height: int, header: bytes, transactions: int, failed: int
) -> VersionRow:
    """What a commit records of the version. ValueError if a number or size is out of range."""
    if len(receipts_root) != 32:
        raise ValueError(f"receipts_root has 32 bytes, this one {len(receipts_root)}")
    for name, number in (("height", height), ("transactions", transactions), ("failed", failed)):
        if not 0 <= number < 2**63:
            raise ValueError(f"{name} must be from 0 to 2**63 - 1, not {number}")
    return VersionRow(
        version=staged.version,
        root=staged.root,
        receipts_root=bytes(receipts_root),
        height=height,
        header=bytes(header),
        transactions=transactions,
        failed=failed,
        writes=staged.writes,
        keys=staged.keys,
        head=staged.pointer,
    )
