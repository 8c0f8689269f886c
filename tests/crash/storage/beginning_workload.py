"""As crash_workload.py, but short: a state is created and another one restored, each used a little.

    beginning_workload.py ROOT SOURCE SEED TREE
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from crash_workload import Description, Life, restore, small


class Elsewhere(Life):
    """Not on record."""

    def mark(self, when: str, description: Description) -> None:
        pass


def main(root: Path, source: Path, seed: int, tree: str) -> None:
    rng = random.Random(seed)
    small()
    life = Life(root / "state", rng, tree)
    life.create()
    life.commit()
    life.store.close()
    other = Elsewhere(source / "state", rng, tree)
    other.create()
    other.commit()
    restored = restore(other, root / "restored", source, chunk_bytes=20_000)
    restored.commit()
    restored.store.close()
    other.store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
