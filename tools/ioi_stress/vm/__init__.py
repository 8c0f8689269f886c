"""The Program VM, on which most workloads run: in Python (`Program`) and in C (`NativeProgram`)."""

from ioi_stress.vm.native import NativeProgram
from ioi_stress.vm.program import Program

__all__ = ["NativeProgram", "Program"]
