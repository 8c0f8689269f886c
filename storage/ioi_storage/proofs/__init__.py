"""Making proofs, and verifying them with nothing else of this package."""
