"""Virtual machines: what one is, what it sees, how it is loaded, and those built in."""

from ioi_exec.block.context import EndContext, TxContext
from ioi_exec.vm.protocol import VM, StateView
from ioi_exec.vm.revert import Revert

__all__ = ["VM", "EndContext", "Revert", "StateView", "TxContext"]
