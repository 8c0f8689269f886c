"""How much of a matrix a run plays; conftest.py says what the two runs are.

    SEEDS = effort.seeds("IOI_STORAGE_SEEDS", sample=5, many=40)     # a parameter
    KILLS = effort.amount("IOI_STORAGE_KILLS", sample=8, many=30)    # anything that is counted

A test that uses one of these is marked `sampled`: it runs in both.
"""

from __future__ import annotations

import os

long = False
"""Whether this is the long run. conftest.py sets it before any test is imported."""

APART = 1000
"""How far the seeds of one IOI_SEED are from those of the next."""


def seed(default: int) -> int:
    """IOI_SEED, which chooses another run; the long run always has one. The default is the same everywhere, every time."""
    return int(os.environ.get("IOI_SEED", default))


def amount(variable: str, sample: int, many: int) -> int:
    """What the variable in the environment says; without it `sample`, and in the long run `many`."""
    return int(os.environ.get(variable, many if long else sample))


def seeds(variable: str, sample: int, many: int) -> range:
    """So many seeds, from 0 on, or from where IOI_SEED says."""
    first = seed(0) * APART
    return range(first, first + amount(variable, sample, many))
