"""Authenticated state on LMDB: a Merkle tree with every version, latest values by key, atomic durable commits.

    with Store.create("state", meta={}, genesis=[(b"key", b"value")]) as store:
        staged = store.stage([(b"key", b"other")])
        store.commit(staged, receipts_root=receipts_merkle_root(b"", b""), height=1, header=b"", transactions=1, failed=0)

Knows nothing of transactions or execution. Errors derive from StorageError. Names are imported when they are first used: a
light client, which imports `ioi_storage.verify`, needs neither LMDB nor the C extension.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Writes
    from ._core import merkle_root as receipts_merkle_root
    from .checking.examine import Finding
    from .checking.process import Checked, check
    from .disk.bodies import Body
    from .disk.rows import VersionRow
    from .errors import (
        BadChunk,
        DiskFull,
        FormatMismatch,
        NumberTaken,
        RollbackUnfinished,
        RootMismatch,
        StaleStage,
        StateCorrupt,
        StateExists,
        StateInUse,
        StateMissing,
        StorageClosed,
        StorageError,
        StorageIOError,
        TooManyReaders,
        UnknownTree,
        UnorderedTree,
        Unprovable,
        VersionMissing,
    )
    from .history.diff import Change
    from .latest.reader import Reader
    from .moment import Moment
    from .moving.chunks import CHUNK_BYTES as chunk_bytes
    from .moving.chunks import CHUNK_LIMIT as chunk_limit
    from .moving.chunks import Chunk
    from .moving.manifest import MANIFEST_LIMIT as manifest_limit
    from .moving.manifest import Manifest
    from .moving.restore import Restore
    from .overlay import OverlayStore
    from .proofs.prove import RangeProof
    from .stand import Stand
    from .state import State
    from .store import Store
    from .trees.iavl import Iavl
    from .trees.jellyfish import Jellyfish
    from .trees.keys import KEY_LIMIT as key_limit
    from .trees.staged import Staged
    from .trees.threads import Threads

_HOMES = {
    "_core": "Writes",
    "checking.examine": "Finding",
    "checking.process": "Checked check",
    "disk.bodies": "Body",
    "disk.rows": "VersionRow",
    "errors": "BadChunk DiskFull FormatMismatch NumberTaken RollbackUnfinished RootMismatch StaleStage StateCorrupt StateExists StateInUse "
    "StateMissing StorageClosed StorageError StorageIOError TooManyReaders UnknownTree UnorderedTree Unprovable VersionMissing",
    "history.diff": "Change",
    "latest.reader": "Reader",
    "moment": "Moment",
    "moving.chunks": "Chunk",
    "moving.manifest": "Manifest",
    "moving.restore": "Restore",
    "overlay": "OverlayStore",
    "proofs.prove": "RangeProof",
    "stand": "Stand",
    "state": "State",
    "store": "Store",
    "trees.iavl": "Iavl",
    "trees.jellyfish": "Jellyfish",
    "trees.staged": "Staged",
    "trees.threads": "Threads",
}
_HOME_OF = {name: (home, name) for home, names in _HOMES.items() for name in names.split()}
_HOME_OF |= {  # these have another name at home
    "chunk_bytes": ("moving.chunks", "CHUNK_BYTES"),
    "chunk_limit": ("moving.chunks", "CHUNK_LIMIT"),
    "key_limit": ("trees.keys", "KEY_LIMIT"),
    "manifest_limit": ("moving.manifest", "MANIFEST_LIMIT"),
    "receipts_merkle_root": ("_core", "merkle_root"),
}
_FACES = ("errors", "ics23", "verify", "verify_ics23")  # modules for users

__all__ = [
    "BadChunk",
    "Body",
    "Change",
    "Checked",
    "Chunk",
    "DiskFull",
    "Finding",
    "FormatMismatch",
    "Iavl",
    "Jellyfish",
    "Manifest",
    "Moment",
    "OverlayStore",
    "RangeProof",
    "Reader",
    "RollbackUnfinished",
    "Restore",
    "RootMismatch",
    "StaleStage",
    "Staged",
    "Stand",
    "State",
    "StateCorrupt",
    "StateExists",
    "NumberTaken",
    "StateInUse",
    "StateMissing",
    "StorageClosed",
    "StorageError",
    "StorageIOError",
    "Store",
    "Threads",
    "TooManyReaders",
    "UnknownTree",
    "UnorderedTree",
    "Unprovable",
    "VersionMissing",
    "VersionRow",
    "Writes",
    "check",
    "chunk_bytes",
    "chunk_limit",
    "key_limit",
    "manifest_limit",
    "receipts_merkle_root",
]


def __getattr__(name: str) -> object:
    if name in _FACES:
        return import_module(f"ioi_storage.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ioi_storage' has no attribute {name!r}")
    home, there = _HOME_OF[name]
    found: object = getattr(import_module(f"ioi_storage.{home}"), there)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
