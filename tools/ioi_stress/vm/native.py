"""The Program VM in C: the same transactions, the same results, without the interpreter. It cannot scan."""

from __future__ import annotations


class NativeProgram:
    """A VM of ioi-exec. A program with a scan in it fails with code 3: the interface for VMs in C has none."""

    def native(self) -> object:
        from ioi_stress._program import program_vm

        return program_vm()
