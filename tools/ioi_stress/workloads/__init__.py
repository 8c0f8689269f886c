"""The workloads that come with ioi-stress, by their names, and how one of them is made.

    workload = make("zipf", s=1.2, accounts=1_000_000, blocks=3, vm="python")

A class of WORKLOADS is a frozen dataclass and a `Workload`. `parameters_of` lists what it takes, by the names that users know; the fields
for blocks and vm are called block_count and runs_on, because a Workload has `blocks()` and `vm` already.
"""

from __future__ import annotations

from typing import Any

from ioi_exec import InputError
from ioi_exec.arguments import text
from ioi_stress.workload import Workload
from ioi_stress.workloads.chain import Chain
from ioi_stress.workloads.ethereum import Ethereum
from ioi_stress.workloads.evm import Evm
from ioi_stress.workloads.growing import Growing
from ioi_stress.workloads.hot import Hot
from ioi_stress.workloads.market import Market
from ioi_stress.workloads.mixed import Mixed
from ioi_stress.workloads.own import Own
from ioi_stress.workloads.pairs import Pairs
from ioi_stress.workloads.parameters import Parameter, build, parameters_of
from ioi_stress.workloads.read_heavy import ReadHeavy
from ioi_stress.workloads.replay import Replay
from ioi_stress.workloads.rwset import RWSet
from ioi_stress.workloads.scan_heavy import ScanHeavy
from ioi_stress.workloads.shrinking import Shrinking
from ioi_stress.workloads.uniform import Uniform
from ioi_stress.workloads.zipf import Zipf

__all__ = ["WORKLOADS", "Parameter", "Workload", "make", "parameters_of"]

_CLASSES: tuple[Any, ...] = (
    Uniform, Zipf, Hot, Market, Chain, Pairs, ReadHeavy, ScanHeavy, Growing, Shrinking, Mixed, Evm, Replay, RWSet, Own, Ethereum
)
WORKLOADS: dict[str, Any] = {cls.name: cls for cls in _CLASSES}


def make(name: str, **parameters: Any) -> Workload:
    """A workload by its name and parameters. Raises InputError or InputTypeError for what it does not take."""
    if text("the name of a workload", name) not in WORKLOADS:
        raise InputError(f"there is no workload {name!r}: give one of {', '.join(WORKLOADS)}")
    made: Workload = build(WORKLOADS[name], name, parameters)
    return made
