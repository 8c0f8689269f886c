"""Which faults strike in which block: drawn from the seed alone, whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from random import Random
from typing import Callable, Sequence

from ioi_stress.chaos.fault import Fault
from ioi_stress.chaos.plan import ChaosPlan


@dataclass(frozen=True)
class Strike:
    """fault: strikes in `phase`, when the share `moment` (0 to 1.1) of the time this phase took last time is over; if the phase is over
    before, at once in the next one. rng: of the fault's own choices."""

    fault: Fault
    phase: str
    moment: float
    rng: Random


@dataclass(frozen=True)
class Schedule:
    """in_block: what strikes in a block, by its number. in_passage: what strikes when something else is done after it (PASSAGES)."""

    in_block: Callable[[int], Sequence[Strike]]
    in_passage: Callable[[int, str], Sequence[Strike]]


def drawn(plan: ChaosPlan, round_number: int) -> Schedule:
    """Of a round."""
    return Schedule(
        lambda block: strikes(plan, round_number, block), lambda block, phase: passage_strikes(plan, round_number, block, phase)
    )


def passage_strikes(plan: ChaosPlan, round_number: int, block: int, phase: str) -> list[Strike]:
    """As many as in a block."""
    rng = Random(f"{plan.seed} {round_number} {block} {phase}")
    faults = [fault for fault in plan.faults if phase in fault.passages]
    if not faults:
        return []
    return [
        Strike(rng.choice(faults), phase, 1.1 * rng.random(), Random(rng.getrandbits(64))) for _ in range(_poisson(plan.rate, rng))
    ]


def strikes(plan: ChaosPlan, round_number: int, block: int) -> list[Strike]:
    """Those of one block. Their number is Poisson distributed with mean `plan.rate`."""
    rng = Random(f"{plan.seed} {round_number} {block}")
    drawn = []
    for number in range(_poisson(plan.rate, rng)):
        fault = rng.choice(plan.faults)
        drawn.append(Strike(fault, rng.choice(fault.phases), 1.1 * rng.random(), Random(f"{plan.seed} {round_number} {block} {number}")))
    return drawn


def _poisson(mean: float, rng: Random) -> int:
    number, left = 0, rng.random()
    while left > exp(-mean):
        left *= rng.random()
        number += 1
    return number
