"""A disk without room."""

from __future__ import annotations

import os
import resource
from random import Random

import psutil
from ioi_storage.disk.environment import data_file

from ioi_stress.chaos.fault import (
    BETWEEN,
    COMMITTING,
    EXECUTING,
    PASSAGES,
    Fault,
    Target,
)

_PAGE = 4096


class FullDisk(Fault):
    """On a disk of its own the state meets ENOSPC. Anywhere else the size of files is limited (RLIMIT_FSIZE): writes beyond fail
    with EFBIG, or are cut short, which needs no privilege and hits nobody else."""

    name = "full-disk"
    help = "leave no room for the state until a commit has failed: the disk of --disk filled, or the size of files limited"
    phases = (BETWEEN, EXECUTING, COMMITTING)
    passages = PASSAGES

    def strike(self, target: Target, rng: Random) -> bool:
        target.may_show_later()  # the upkeep process may have met it; the next commit says so
        spare = rng.choice((0, 0, 1, 3, 10, 40)) * _PAGE
        if target.disk is not None:
            target.disk.fill(spare)
            target.at_rest(target.disk.make_room)
            return True
        file = data_file(target.state)
        size = (os.path.getsize(file) if os.path.exists(file) else 0) + spare
        limited = [target.engine(), *target.upkeep()]
        for process in limited:
            _limit(process, size)

        def make_room() -> None:
            for process in [*limited, *target.upkeep()]:  # one that started since has it from its parent
                _limit(process, None)

        target.at_rest(make_room)
        return True


def _limit(process: psutil.Process, size: int | None) -> None:
    try:
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
    except ProcessLookupError:
        pass
