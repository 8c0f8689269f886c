"""The grid of the Block-STM paper's evaluation (Gelashvili et al., PPoPP 2023), for this engine and this machine.

There: peer-to-peer payments between 2, 10, 100, 1,000 and 10,000 accounts in blocks of 1,000 and 10,000, ten executions
each after two that are not measured, on up to 32 threads of 16 cores; without persistence. A transaction took about 100
us sequentially (10,000 a second of the Aptos kind). Here: the workload `uniform`, whose transactions read and write
both accounts and compute for 100 us in between; two block sizes more; and as many workers as there are cores.
"""

from __future__ import annotations

from typing import Any

from ioi_exec.cores import available_cores
from ioi_stress.simulation.plays import SEEDS, WORKERS

ACCOUNTS = (2, 10, 100, 1_000, 10_000)
BLOCK_SIZES = (1_000, 2_000, 5_000, 10_000)
QUICK_BLOCK_SIZES = (100, 300, 1_000)
COST_US = 100.0
REPEAT, QUICK_REPEAT = 10, 3
WORKLOAD = "uniform"


def paper(quick: bool = False, simulated: bool = False) -> dict[str, Any]:
    """The arguments of `sweep` for it; `ioi_stress.sweep("paper")` is the same. quick: small blocks and few
    repetitions, done in a minute or two, to see what it would look like. simulated: for 1 to 128 workers, with as many seeds as simulations have."""
    return {
        "workload": WORKLOAD,
        "accounts": list(ACCOUNTS),
        "block_size": list(QUICK_BLOCK_SIZES if quick else BLOCK_SIZES),
        "cost_us": COST_US,
        "workers": list(WORKERS) if simulated else worker_counts(available_cores()),
        "repeat": (1 if quick else SEEDS) if simulated else QUICK_REPEAT if quick else REPEAT,
    }


def worker_counts(cores: int) -> list[int]:
    """The powers of two up to the cores, and the cores."""
    return sorted({*(1 << k for k in range(cores.bit_length()) if 1 << k <= cores), cores})
