"""ExecutionMachine: a state and a virtual machine; blocks in, roots out."""

from ioi_exec.machine.machine import ExecutionMachine

__all__ = ["ExecutionMachine"]
