def program_vm() -> object:
    """The Program VM in C, as a capsule (ioi_vm.h)."""
