"""Many cores in virtual time: the engine's own core, run as if each worker had a core of its own, up to 128 of them.

costs.py        what things take; calibration.py measures them here
blocks.py       what is simulated, made of a workload
plays.py        many runs of it
result.py       what they say
core/, include/ the simulated machine, in C
"""

from ioi_stress.simulation.costs import Costs
from ioi_stress.simulation.plays import simulate
from ioi_stress.simulation.result import Point, Simulation

__all__ = ["Costs", "Point", "Simulation", "simulate"]
