"""What a campaign of faults is to do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Sequence

from ioi_exec import InputError, Limits
from ioi_stress.chaos.fault import Fault
from ioi_stress.chaos.faults import all_faults
from ioi_stress.workload import Workload, limits_of

DISK_LEAST = 8  # MiB: an empty ext4 and an empty state


@dataclass(frozen=True, kw_only=True)
class ChaosPlan:
    """faults: which there are; rate: how many of them strike in a block, on average.
    seed: of all choices: which fault, in which block, at what share of which phase, for how long. Not of the time that passes.
    seconds: begin the workload again, on a new state, until so many are over; None: execute its blocks once.
    state: the directory to work in, absent or empty; None: a temporary one, which is left only if something was wrong.
    keep: versions of the state that are kept while it runs, so that pruning is under attack as well; None: all.
    stall_seconds: as in `Limits`. disk_mib: put the state on a disk of so many MiB that is a file (needs root).
    check_every: check the state after every so many deaths of the engine; it is checked deeply at the end in any case.
    passages_every: after so many blocks, and at the end, the state is rolled back and executed again, and a snapshot of it restored, if
    faults strike meanwhile.
    """

    faults: Sequence[Fault] = field(default_factory=all_faults)
    rate: float = 0.5
    seed: int = 1
    seconds: float | None = None
    workers: int | None = None
    tree: str = "jellyfish"
    state: str | None = None
    keep: int | None = 64
    stall_seconds: float = 1.0
    disk_mib: int | None = None
    check_every: int = 5
    passages_every: int = 10
    pin: bool = True

    def __post_init__(self) -> None:
        """Raises InputError for values that make no sense."""
        if not self.faults:
            raise InputError("chaos without a fault: name at least one")
        if not 0 <= self.rate <= 100:
            raise InputError(f"the rate is {self.rate}: give 0 to 100 faults a block")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"seconds is {self.seconds}: give a number above 0")
        if self.workers == 0:
            raise InputError("chaos is about worker processes: give at least 1")
        if self.keep is not None and self.keep < 2:
            raise InputError(f"keep is {self.keep}: give at least 2, for the last two versions are compared after each death")
        if self.check_every < 1:
            raise InputError(f"check_every is {self.check_every}: give at least 1")
        if self.passages_every < 1:
            raise InputError(f"passages_every is {self.passages_every}: give at least 1")
        if self.disk_mib is not None and self.disk_mib < DISK_LEAST:
            raise InputError(f"a disk of {self.disk_mib} MiB: give at least {DISK_LEAST}")

    def limits(self, workload: Workload) -> Limits:
        return replace(limits_of(workload), stall_seconds=self.stall_seconds)

    def to_json(self) -> dict[str, Any]:
        return {
            "faults": [fault.name for fault in self.faults],
            "rate": self.rate,
            "seed": self.seed,
            "seconds": self.seconds,
            "workers": self.workers,
            "tree": self.tree,
            "keep": self.keep,
            "stall_seconds": self.stall_seconds,
            "disk_mib": self.disk_mib,
            "check_every": self.check_every,
            "passages_every": self.passages_every,
        }
