"""Authenticated state on LMDB: a Merkle tree with every version, latest values by key, atomic durable commits.

    with Store.create("state", meta={}, genesis=[(b"key", b"value")]) as store:
        staged = store.stage([(b"key", b"other")])
        store.commit(staged, receipts_root=receipts_merkle_root(b"", b""), height=1, header=b"", transactions=1, failed=0)

Knows nothing of transactions or execution. Errors derive from StorageError.
"""

from ._core import merkle_root as receipts_merkle_root
from .checking import Checked, check
from .errors import (
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
    VersionMissing,
)
from .examine import Finding
from .jellyfish import Jellyfish  # registers itself
from .overlay import OverlayStore
from .prove import RangeProof
from .reader import Reader
from .rows import KEY_LIMIT as key_limit
from .rows import VersionRow
from .staged import Staged
from .state import Change, State
from .store import Store

__all__ = [
    "Change",
    "Checked",
    "DiskFull",
    "Finding",
    "FormatMismatch",
    "Jellyfish",
    "OverlayStore",
    "RangeProof",
    "Reader",
    "RollbackUnfinished",
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
    "UnknownTree",
    "UnorderedTree",
    "VersionMissing",
    "VersionRow",
    "check",
    "key_limit",
    "receipts_merkle_root",
]
