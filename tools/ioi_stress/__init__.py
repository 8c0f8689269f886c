"""ioi-stress: workloads for ioi-exec, measured, verified, broken on purpose and drawn.

The command line `ioi-stress` and this library are the same thing. Names are imported when they are first used.

workload.py, plan.py  what is executed, and how
vm/, workloads/       programs, and the workloads made of them
running/              what executes a workload, verifies and records it
simulation/           what runs it on many cores in virtual time
results/, tracing/    what was measured, and what happened when
sweeps/, chaos/       many runs, and runs under attack; soaking/: for hours
explaining/, plot/, reporting/  what is shown of them; notation/: how it is written
library.py, cli/      what one calls, in Python and in a shell
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ioi_exec.policy import Policy
    from ioi_stress import plot, workloads
    from ioi_stress.library import Trace, explain, report, run, save_rwset, trace
    from ioi_stress.plan import Plan
    from ioi_stress.results.comparison import compare
    from ioi_stress.results.interval import Interval
    from ioi_stress.results.result import Result
    from ioi_stress.running.measure import Observer
    from ioi_stress.simulation import Costs, Simulation, simulate
    from ioi_stress.soaking import SoakPlan, soak
    from ioi_stress.sweeps.run import sweep
    from ioi_stress.sweeps.sweep import Sweep
    from ioi_stress.workload import Block, FixedWorkload, Workload

# name: (module, its name there; "": the module itself)
_HOMES = {
    "Block": ("ioi_stress.workload", "Block"),
    "FixedWorkload": ("ioi_stress.workload", "FixedWorkload"),
    "Interval": ("ioi_stress.results.interval", "Interval"),
    "Observer": ("ioi_stress.running.measure", "Observer"),
    "Plan": ("ioi_stress.plan", "Plan"),
    "Policy": ("ioi_exec.policy", "Policy"),
    "Costs": ("ioi_stress.simulation", "Costs"),
    "Result": ("ioi_stress.results.result", "Result"),
    "SoakPlan": ("ioi_stress.soaking", "SoakPlan"),
    "Trace": ("ioi_stress.library", "Trace"),
    "Workload": ("ioi_stress.workload", "Workload"),
    "Sweep": ("ioi_stress.sweeps", "Sweep"),
    "Simulation": ("ioi_stress.simulation", "Simulation"),
    "compare": ("ioi_stress.results.comparison", "compare"),
    "explain": ("ioi_stress.library", "explain"),
    "plot": ("ioi_stress.plot", ""),
    "report": ("ioi_stress.library", "report"),
    "run": ("ioi_stress.library", "run"),
    "save_rwset": ("ioi_stress.library", "save_rwset"),
    "soak": ("ioi_stress.soaking", "soak"),
    "simulate": ("ioi_stress.simulation", "simulate"),
    "sweep": ("ioi_stress.sweeps", "sweep"),
    "trace": ("ioi_stress.library", "trace"),
    "workloads": ("ioi_stress.workloads", ""),
}

__all__ = [
    "Block", "Costs", "FixedWorkload", "Interval", "Observer", "Plan", "Policy", "Result", "Simulation", "SoakPlan",
    "Sweep", "Trace", "Workload", "compare", "explain", "include", "plot", "report", "run", "save_rwset", "simulate", "soak", "sweep",
    "trace", "workloads",
]


def include() -> str:
    """The directory of ioi_scheduler.h, for schedulers of one's own (docs/schedulers.md)."""
    return str(Path(__file__).parent / "simulation" / "include")


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ioi_stress' has no attribute {name!r}")
    home, its_name = _HOMES[name]
    module = import_module(home)
    found: object = getattr(module, its_name) if its_name else module
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
