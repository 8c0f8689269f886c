"""The ProofSpec of each tree, for ics23 libraries: `proofs.ics23` under its public name."""

from .proofs.ics23 import spec

__all__ = ["spec"]
