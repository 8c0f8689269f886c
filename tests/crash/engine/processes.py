"""Who is still there."""

from __future__ import annotations

import os

import psutil


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def workers_of(pid: int) -> list[psutil.Process]:
    """The live descendants of a process."""
    return [child for child in psutil.Process(pid).children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they all end soon: generous, for a machine that is busy."""
    return not psutil.wait_procs(processes, timeout=30)[1]


def alive(pid: int) -> bool:
    try:
        return str(psutil.Process(pid).status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
