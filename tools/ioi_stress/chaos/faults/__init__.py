"""The faults that there are, by the names that users know."""

from __future__ import annotations

from typing import Sequence

from ioi_exec import InputError
from ioi_stress.chaos.fault import Fault
from ioi_stress.chaos.faults.arena import TinyArena
from ioi_stress.chaos.faults.disk import FullDisk
from ioi_stress.chaos.faults.memory import LittleMemory
from ioi_stress.chaos.faults.signals import (
    KillEngine,
    KillUpkeep,
    KillWorker,
    StopEngine,
    StopUpkeep,
    StopWorker,
)
from ioi_stress.chaos.faults.slow import SlowTx

FAULTS: dict[str, type[Fault]] = {
    cls.name: cls
    for cls in (
        KillWorker, StopWorker, KillEngine, StopEngine, KillUpkeep, StopUpkeep, TinyArena, FullDisk, SlowTx, LittleMemory,
    )
}


def all_faults() -> list[Fault]:
    return [cls() for cls in FAULTS.values()]


def named_faults(names: Sequence[str]) -> list[Fault]:
    """Raises InputError for a name that is none."""
    if "all" in names:
        return all_faults()
    for name in names:
        if name not in FAULTS:
            raise InputError(f"there is no fault {name!r}: give all, or some of {', '.join(FAULTS)}")
    return [FAULTS[name]() for name in dict.fromkeys(names)]
