"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def available_cores() -> int:
    """The cores of this process's affinity, or fewer where a cgroup's CPU quota allows fewer; at least 1."""
    allowed = len(allowed_cores())
    quota = _cgroup_cores()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def allowed_cores() -> list[int]:
    """The cores this process may run on, those of its main thread; all there are where the system does not say."""
    try:
        return sorted(os.sched_getaffinity(os.getpid()))
    except OSError:  # a sandbox forbids the question
        return list(range(os.cpu_count() or 1))


def _cgroup_cores(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """The smallest quota of this process's cgroup and those above it, in cores (cgroup v2 and v1); None: no quota."""
    quotas = []
    for group in _groups(membership):
        for folder in (root, root / "cpu", root / "cpu,cpuacct"):
            quotas += [quota for parent in (group, *group.parents) if (quota := _quota(folder / parent)) is not None]
    return min(quotas, default=None)


def _groups(membership: Path) -> list[Path]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return [Path(".")]
    return [Path(line.split(":", 2)[2].lstrip("/") or ".") for line in lines if line.count(":") >= 2] or [Path(".")]


def _quota(folder: Path) -> float | None:
    try:
        v2 = (folder / "cpu.max").read_text().split()
        return None if v2[0] == "max" else int(v2[0]) / int(v2[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
