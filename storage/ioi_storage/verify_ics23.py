"""Verifying ICS23 proofs: `proofs.verify_ics23` under the name that light clients import."""

from .proofs.verify import InvalidProof
from .proofs.verify_ics23 import verify_absence, verify_existence

__all__ = ["InvalidProof", "verify_absence", "verify_existence"]
