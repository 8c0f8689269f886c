"""One look at an engine: what its processes hold, its file, and who reads."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Mapping, Sequence

from ioi_storage.disk.environment import data_file, open_environment

_MIB = float(1 << 20)


@dataclass(frozen=True)
class Look:
    """seconds: since the soak began. values: by the names of QUANTITIES. lives: the processes of each role. storm: whether faults
    were striking."""

    seconds: float
    storm: bool
    values: Mapping[str, float]
    lives: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def held(roles: Mapping[str, Sequence[int]], state: str) -> dict[str, float] | None:
    """What the processes (ids by role) hold, and the state; None if one of them ended meanwhile."""
    values = dict.fromkeys(("memory", "descriptors", "processes", "threads", "mapped"), 0.0)
    try:
        for role, pids in roles.items():
            memory = descriptors = 0.0
            for pid in pids:
                own, mapped = _pages(pid)
                memory += own
                descriptors += len(os.listdir(f"/proc/{pid}/fd"))
                values["mapped"] += mapped
                values["processes"] += 1
                values["threads"] += len(os.listdir(f"/proc/{pid}/task"))
            values[f"memory_{role}"], values[f"descriptors_{role}"] = memory, descriptors
            values["memory"] += memory
            values["descriptors"] += descriptors
    except (FileNotFoundError, ProcessLookupError):
        return None
    values["file"] = os.stat(data_file(state)).st_blocks * 512 / _MIB
    values["slots"] = _slots(state)
    values["load"] = os.getloadavg()[0]
    return values


def _pages(pid: int) -> tuple[float, float]:
    """MiB of its own (anonymous, shared memory, swapped), and of files."""
    found: dict[str, int] = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            name, _, rest = line.partition(":")
            words = rest.split()
            if len(words) == 2 and words[1] == "kB":
                found[name] = int(words[0])
    if not found:
        raise ProcessLookupError  # it is ending, and has no memory any more
    own = found["Pss_Anon"] + found["Pss_Shmem"] + found.get("SwapPss", 0)
    return own / 1024, found["Pss_File"] / 1024


def _slots(state: str) -> int:
    """How many of LMDB's reader slots are taken, by the living and by the dead."""
    env, _ = open_environment(state, read_only=True)
    try:
        # A line of heads, and one for each; or one that says there is none.
        return max(0, len(env.readers().strip().splitlines()) - 1)
    finally:
        env.close()
