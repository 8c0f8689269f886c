"""The costs of the machine this runs on."""

from __future__ import annotations

from dataclasses import replace

from ioi_stress import _simulation
from ioi_stress.simulation.blocks import block_of
from ioi_stress.simulation.costs import Costs
from ioi_stress.workloads import make

_TRANSACTIONS, _TIMES = 4_000, 9


def calibrated() -> Costs:
    """Measured within a second: a cache line by a word handed to and fro between two cores, wake calls and their latency by a futex,
    the engine's own work by executing payments that cost nothing, with one worker and one by one. On a single core the line is
    assumed."""
    line, wake, latency, oversleep = _simulation.measure()
    costs = Costs(wake=wake, latency=latency, oversleep=oversleep)
    block = block_of(make("pairs", block_size=_TRANSACTIONS, cost_us=0), 0, costs)
    own, sequential = (min(each) for each in zip(*(_simulation.measure_work(block) for _ in range(_TIMES))))
    return replace(costs, line=line or costs.line, work=own, sequential=sequential)
