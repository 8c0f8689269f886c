"""Every decoder under fuzzing meets what its encoder makes, the kept corpus, and the same few changes of these each time.

IOI_FUZZ changes of each input."""

from __future__ import annotations

import random

import decoders
import effort
import pytest
from decoder import inputs, mutated

CHANGES = effort.amount("IOI_FUZZ", sample=15, many=150)


@pytest.mark.sampled
@pytest.mark.parametrize("name", decoders.NAMES)
def test_decoder(name: str) -> None:
    decoder, rng = decoders.named(name), random.Random(effort.seed(1))
    whole = inputs(decoder)
    assert whole, "there is nothing to begin with"
    for data in whole:
        for changed in [data, *mutated(data, whole, rng, CHANGES)]:
            try:
                decoder.check(changed)
            except BaseException:
                print(f"input of {name}: {changed!r}")
                raise
