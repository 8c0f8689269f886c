"""Figures of sweeps, drawn by matplotlib (the `stress` extra) as PNG, PDF or SVG.

    ioi_stress.plot.throughput("sweep.csv", "contention.pdf")
    ioi_stress.plot.speedup(sweep)                 # in a notebook, the last line of a cell shows itself
"""

from ioi_stress.plot.figures import aborts, block_size, policies, speedup, throughput
from ioi_stress.plot.paper import paper
from ioi_stress.plot.style import FORMATS

__all__ = ["FORMATS", "aborts", "block_size", "paper", "policies", "speedup", "throughput"]
