"""Sweeps: a workload measured over a grid of its parameters, workers and policies."""

from ioi_stress.sweeps.grid import Grid
from ioi_stress.sweeps.paper import paper
from ioi_stress.sweeps.run import sweep
from ioi_stress.sweeps.sweep import Sweep

__all__ = ["Grid", "Sweep", "paper", "sweep"]
