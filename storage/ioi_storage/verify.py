"""Verifying proofs, for who has a root and no state: `proofs.verify` under the name that light clients import.

Neither it nor what it imports needs the store, LMDB or the C extension.
"""

from .proofs.verify import (
    InvalidProof,
    verify_absence,
    verify_existence,
    verify_many,
    verify_range,
)

__all__ = ["InvalidProof", "verify_absence", "verify_existence", "verify_many", "verify_range"]
