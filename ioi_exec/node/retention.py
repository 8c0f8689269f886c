"""Which blocks CometBFT has to keep, though it may delete others: what Commit answers as retain_height."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_exec.node.consensus import Consensus
from ioi_exec.node.messages import EvidenceParams


@dataclass(frozen=True)
class Retention:
    """blocks: how many of the newest are kept at least; 0: all are. versions: how many of the newest the state keeps, each of which may be
    rolled back to, so that the blocks behind it are executed again; 0: a rollback goes as far as there are blocks."""

    blocks: int = 0
    versions: int = 0

    def height(self, newest: int, consensus: Consensus, oldest_snapshot: int | None) -> int:
        """The lowest one whose block is kept; 0: all. Evidence of a wrong as old as the chain looks at is checked against its block, and a node
        that joins by a snapshot asks for the blocks from its height on."""
        if not self.blocks:
            return 0
        evidence = (consensus.params.evidence if consensus.params is not None else None) or EvidenceParams()
        kept = newest + 1 - max(self.blocks, self.versions, evidence.max_age_num_blocks)
        return max(0, kept if oldest_snapshot is None else min(kept, oldest_snapshot))


ALL_BLOCKS = Retention()
