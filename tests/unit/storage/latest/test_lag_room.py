"""How much the table of latest values may grow by what a version wrote."""

from __future__ import annotations

import random

import pytest
from ioi_storage import Writes
from ioi_storage.latest.lag import room


@pytest.mark.parametrize("seed", range(20))
def test_of_packed_writes_it_is_that_of_their_pairs(seed: int) -> None:
    rng = random.Random(seed)
    keys = sorted({rng.randbytes(rng.randrange(1, 40)) for _ in range(rng.choice([0, 1, 2, 200]))})
    pairs = [(key, rng.choice([None, b"", rng.randbytes(rng.randrange(300))])) for key in keys]
    assert room(Writes.of(pairs)) == room(pairs) >= 50 * len(pairs)
