"""Authenticated state on LMDB: a Merkle tree with every version, latest values by key, atomic durable commits.

    with Store.create("state", meta={}, genesis=[(b"key", b"value")]) as store:
        staged = store.stage([(b"key", b"other")])
        store.commit(staged, receipts_root=receipts_merkle_root(b"", b""), height=1, header=b"", transactions=1, failed=0)

Knows nothing of transactions or execution. Errors derive from StorageError.
"""

from ._core import merkle_root as receipts_merkle_root
from .checking.examine import Finding
from .checking.process import Checked, check
from .disk.rows import KEY_LIMIT as key_limit
from .disk.rows import VersionRow
from .errors import (
    BadChunk,
    DiskFull,
    FormatMismatch,
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
    UnknownTree,
    UnorderedTree,
    Unprovable,
    VersionMissing,
)
from .moving.chunks import CHUNK_BYTES as chunk_bytes
from .moving.chunks import CHUNK_LIMIT as chunk_limit
from .moving.chunks import Chunk
from .moving.manifest import MANIFEST_LIMIT as manifest_limit
from .moving.manifest import Manifest
from .moving.restore import Restore
from .overlay import OverlayStore
from .proofs.prove import RangeProof
from .reader import Reader
from .state import Change, State
from .store import Store
from .trees.iavl import Iavl  # registers itself
from .trees.jellyfish import Jellyfish  # registers itself
from .trees.staged import Staged
from .trees.threads import Threads

__all__ = [
    "BadChunk",
    "Change",
    "Checked",
    "Chunk",
    "DiskFull",
    "Finding",
    "FormatMismatch",
    "Iavl",
    "Jellyfish",
    "Manifest",
    "OverlayStore",
    "RangeProof",
    "Reader",
    "RollbackUnfinished",
    "Restore",
    "RootMismatch",
    "StaleStage",
    "Staged",
    "State",
    "StateCorrupt",
    "StateExists",
    "StateInUse",
    "StateMissing",
    "StorageClosed",
    "StorageError",
    "StorageIOError",
    "Store",
    "Threads",
    "UnknownTree",
    "UnorderedTree",
    "Unprovable",
    "VersionMissing",
    "VersionRow",
    "check",
    "chunk_bytes",
    "chunk_limit",
    "key_limit",
    "manifest_limit",
    "receipts_merkle_root",
]
