"""What keys are called, by the VM that they are of."""

from __future__ import annotations

from typing import Protocol, Sequence

from ioi_exec.ethereum import EVMS
from ioi_stress.notation.keys import readable


class Namer(Protocol):
    def __call__(self, key: bytes, width: int = ..., /) -> str:
        """At most `width` characters."""
        ...


def namer(vm: object, keys: Sequence[bytes]) -> Namer:
    """vm: as a workload has it. keys: all that it may be asked for."""
    if vm not in EVMS.values():
        return readable
    from ioi_stress.evm.names import Names

    return Names(keys)
