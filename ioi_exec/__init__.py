"""ioi-exec: executes the transactions of a block on all cores, with the result of executing them one after another.

Names are imported when they are first used: workers, the command line and every pytest run start without the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ioi_exec._version import __version__

if TYPE_CHECKING:
    from ioi_exec.block.context import BeginContext, EndContext, TxContext
    from ioi_exec.block.decided import Misbehaviour, Vote
    from ioi_exec.block.event import Event
    from ioi_exec.block.header import BlockHeader
    from ioi_exec.block.per_tx import PER_TX
    from ioi_exec.block.progress import Progress
    from ioi_exec.block.proposal import Dropped, Proposal
    from ioi_exec.block.receipt import Receipt, Receipts
    from ioi_exec.block.receipt_proof import ReceiptProof, verify_receipt
    from ioi_exec.block.record import EventKind, Record
    from ioi_exec.block.result import BlockResult, Stats
    from ioi_exec.block.updates import EndBlock, ValidatorUpdate
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
    from ioi_exec.gas import GasSchedule
    from ioi_exec.limits import Limits
    from ioi_exec.machine import ExecutionMachine
    from ioi_exec.machine.pending import Pending
    from ioi_exec.policy import Policy
    from ioi_exec.state.info import StateInfo
    from ioi_exec.state.past import PastState
    from ioi_exec.vm.protocol import VM, StateView
    from ioi_exec.vm.revert import Revert

_HOMES = {
    "block.context": "BeginContext EndContext TxContext",
    "errors": "Diverged Error InputError InputTypeError LimitExceeded MachineBusy MachineClosed ReadOnly ResourceError "
    "StaleResult StateCorrupt StateError StateExists StateInUse StateMissing VersionMissing VMError VMFault VMMismatch",
    "block.decided": "Misbehaviour Vote",
    "block.event": "Event",
    "block.header": "BlockHeader",
    "state.info": "StateInfo",
    "gas": "GasSchedule",
    "limits": "Limits",
    "machine": "ExecutionMachine",
    "machine.pending": "Pending",
    "state.past": "PastState",
    "block.per_tx": "PER_TX",
    "policy": "Policy",
    "block.progress": "Progress",
    "block.proposal": "Dropped Proposal",
    "block.receipt": "Receipt Receipts",
    "block.receipt_proof": "ReceiptProof verify_receipt",
    "block.record": "EventKind Record",
    "block.result": "BlockResult Stats",
    "block.updates": "EndBlock ValidatorUpdate",
    "vm.protocol": "VM StateView",
    "vm.revert": "Revert",
}
_HOME_OF = {name: f"ioi_exec.{home}" for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "PER_TX",
    "VM",
    "BlockHeader",
    "BlockResult",
    "Diverged",
    "Dropped",
    "EndBlock",
    "BeginContext",
    "EndContext",
    "Event",
    "Error",
    "EventKind",
    "ExecutionMachine",
    "InputError",
    "InputTypeError",
    "LimitExceeded",
    "GasSchedule",
    "Limits",
    "MachineBusy",
    "MachineClosed",
    "Misbehaviour",
    "PastState",
    "Pending",
    "Policy",
    "Progress",
    "Proposal",
    "ReadOnly",
    "Receipt",
    "ReceiptProof",
    "Receipts",
    "Record",
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
    "ValidatorUpdate",
    "VersionMissing",
    "Vote",
    "__version__",
    "verify_receipt",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ioi_exec' has no attribute {name!r}")
    found: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
