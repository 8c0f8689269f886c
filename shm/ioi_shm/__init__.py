"""The shared-memory arena of ioi-exec: multi-version memory, scheduler and native VMs, in C, for several processes.

`SharedArena` makes the memory and grows it; `Arena`, `Worker` and `View` are the C core's objects over it. A native VM
of one's own is written against `ioi_vm.h` (see `include_dir`). This package knows neither the engine nor the storage.
"""

from __future__ import annotations

from pathlib import Path

from ioi_shm._core import (
    BLOCK_ABANDONED,
    BLOCK_DONE,
    BLOCK_FAULT,
    BLOCK_FULL,
    BLOCK_RUNNING,
    TASK_END_BLOCK,
    TASK_EXECUTE,
    TASK_LEAVE,
    WORKERS_MAX,
    Arena,
    View,
    Worker,
    die_with_parent,
    native_info,
    payments_vm,
    receipt_leaves,
    run_sequential,
)

__all__ = [
    "BLOCK_ABANDONED",
    "BLOCK_DONE",
    "BLOCK_FAULT",
    "BLOCK_FULL",
    "BLOCK_RUNNING",
    "TASK_END_BLOCK",
    "TASK_EXECUTE",
    "TASK_LEAVE",
    "WORKERS_MAX",
    "Arena",
    "View",
    "Worker",
    "die_with_parent",
    "include_dir",
    "native_info",
    "payments_vm",
    "receipt_leaves",
    "run_sequential",
]


def include_dir() -> Path:
    """The folder of `ioi_vm.h`, for compiling native VMs."""
    return Path(__file__).parent / "include"
