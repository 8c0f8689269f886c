"""Shared memory that is too small for a block."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from ioi_stress.chaos.fault import BETWEEN, Fault, Target


class TinyArena(Fault):
    """16 KiB to 16 MiB: the block is retried, refused until it may have more, or fits after all."""

    name = "tiny-arena"
    help = "let the workers reserve only 16 KiB to 16 MiB of shared memory for a block, and then what it needs"
    phases = (BETWEEN,)

    def strike(self, target: Target, rng: Random) -> bool:
        target.opening = replace(target.opening, arena_bytes=int(2 ** rng.uniform(14, 24)))
        return True
