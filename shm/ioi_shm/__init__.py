"""The shared-memory arena of ioi-exec: multi-version memory, scheduler and native VMs, in C, for several processes.

`SharedArena` makes the memory and grows it; `Arena`, `Worker` and `View` are the C core's objects over it. `State` is what a VM
in Python reads and writes through; `View` (in a worker) and `Plain` (one by one) are what can be behind it. A native VM of
one's own is written against `ioi_vm.h` (see `include_dir`). This package knows neither the engine nor the storage.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from ioi_shm._core import (
    ARENA_MAX,
    BLOCK_ABANDONED,
    BLOCK_DONE,
    BLOCK_FAULT,
    BLOCK_FULL,
    TASK_LEAVE,
    WORKERS_MAX,
    Arena,
    Cache,
    Plain,
    State,
    View,
    Worker,
    call_apart,
    charge,
    die_with_parent,
    emit,
    exact_bytes,
    gas_left,
    leading_bytes,
    native_info,
    payments_vm,
    receipt_leaves,
    receipts_failed,
    run_sequential,
    signal_restarts,
)

__all__ = [
    "ARENA_MAX",
    "BLOCK_ABANDONED",
    "BLOCK_DONE",
    "BLOCK_FAULT",
    "BLOCK_FULL",
    "TASK_LEAVE",
    "WORKERS_MAX",
    "Arena",
    "Cache",
    "Plain",
    "State",
    "View",
    "Worker",
    "call_apart",
    "charge",
    "emit",
    "gas_left",
    "die_with_parent",
    "exact_bytes",
    "include_dir",
    "leading_bytes",
    "load_native_vm",
    "native_info",
    "payments_vm",
    "receipt_leaves",
    "receipts_failed",
    "run_sequential",
    "signal_restarts",
]


def include_dir() -> Path:
    """The folder of `ioi_vm.h`, for compiling native VMs."""
    return Path(__file__).parent / "include"


def load_native_vm(library: str | os.PathLike[str], symbol: str = "ioi_vm") -> object:
    """The capsule of a native VM in a shared library that exports `const ioi_vm SYMBOL`. The library stays loaded.

    Raises OSError if there is no such library, AttributeError if it has no such symbol, ValueError for another ABI.
    """
    vm = ctypes.c_char.in_dll(ctypes.CDLL(os.fspath(library)), symbol)
    make = ctypes.pythonapi.PyCapsule_New
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule: object = make(ctypes.addressof(vm), _CAPSULE_NAME, None)
    native_info(capsule)
    return capsule


_CAPSULE_NAME = b"ioi_shm.vm"  # IOI_VM_CAPSULE; a capsule keeps the pointer, so it must outlive them all
