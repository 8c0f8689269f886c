"""revm as a VM of ioi-exec: Ethereum, with the blocks, states and outputs of `ioi_exec.vm.ethereum:Ethereum`.

    ExecutionMachine.create(path, "ioi_revm:Ethereum", genesis=dict(genesis(prestate)), limits=LIMITS)
"""

from __future__ import annotations

from ioi_revm._ioi_revm import native as _native
from ioi_revm._ioi_revm import preloaded


class Ethereum:
    """A VM in Rust (ioi_vm.h)."""

    def native(self) -> object:
        return _native()


__all__ = ["Ethereum", "preloaded"]
