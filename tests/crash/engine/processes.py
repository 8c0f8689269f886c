"""Who is still there."""

from __future__ import annotations

import os

import psutil


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def descendants(pid: int) -> list[psutil.Process]:
    """The live descendants of a process: its workers, what they are forked from, and others."""
    return [child for child in psutil.Process(pid).children(recursive=True) if alive(child.pid)]


def workers_of(pid: int) -> list[psutil.Process]:
    """Those of them that take part in blocks."""
    return [child for child in descendants(pid) if _name(child) in ("ioi-worker", "ioi-sequential")]


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they all end soon: generous, for a machine that is busy."""
    return not psutil.wait_procs(processes, timeout=300)[1]


def alive(pid: int) -> bool:
    try:
        return str(psutil.Process(pid).status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
