"""ioi-exec: executes the transactions of a block on all cores, with the result of executing them one after another."""

from ioi_exec._version import __version__
from ioi_exec.errors import (
    Diverged,
    Error,
    InputError,
    InputTypeError,
    LimitExceeded,
    MachineBusy,
    MachineClosed,
    ReadOnly,
    ResourceError,
    StaleResult,
    StateCorrupt,
    StateError,
    StateExists,
    StateInUse,
    StateMissing,
    VersionMissing,
    VMError,
    VMFault,
    VMMismatch,
)
from ioi_exec.header import BlockHeader
from ioi_exec.info import StateInfo
from ioi_exec.limits import Limits
from ioi_exec.machine import ExecutionMachine
from ioi_exec.receipt import Receipt, Receipts
from ioi_exec.result import BlockResult, Stats
from ioi_exec.vm import VM, EndContext, Revert, StateView, TxContext

__all__ = [
    "VM",
    "BlockHeader",
    "BlockResult",
    "Diverged",
    "EndContext",
    "Error",
    "ExecutionMachine",
    "InputError",
    "InputTypeError",
    "LimitExceeded",
    "Limits",
    "MachineBusy",
    "MachineClosed",
    "ReadOnly",
    "Receipt",
    "Receipts",
    "ResourceError",
    "Revert",
    "StaleResult",
    "StateCorrupt",
    "StateError",
    "StateExists",
    "StateInUse",
    "StateInfo",
    "StateMissing",
    "StateView",
    "Stats",
    "TxContext",
    "VMError",
    "VMFault",
    "VMMismatch",
    "VersionMissing",
    "__version__",
]
