"""A worker that gets no more memory."""

from __future__ import annotations

import resource
from random import Random

from ioi_stress.chaos.fault import BETWEEN, EXECUTING, Fault, Target
from ioi_stress.chaos.faults.signals import drawn


class LittleMemory(Fault):
    name = "little-memory"
    help = "let a worker's address space grow by at most 4 MiB (RLIMIT_AS), until the block is committed or refused"
    phases = (BETWEEN, EXECUTING)
    refusals = (*Fault.refusals, "VMError")  # a worker that has just been started cannot load it

    def strike(self, target: Target, rng: Random) -> bool:
        victim = drawn(target.workers(), rng)
        if victim is None:
            return False
        pid, room = victim.pid, rng.randrange(0, 4 << 20)
        try:
            _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
            resource.prlimit(pid, resource.RLIMIT_AS, (victim.memory_info().vms + room, hard))
        except ProcessLookupError:
            return False

        def enough() -> None:
            try:
                resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
            except ProcessLookupError:
                pass

        target.at_rest(enough)
        return True
