"""The blocks of a soak: several workloads in turns, for ever, on a state whose honest size is level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Iterator, Mapping

from ioi_exec import InputError
from ioi_stress.workload import Block, Workload
from ioi_stress.workloads import make
from ioi_stress.workloads.base import VMS

# None that only adds keys, or only deletes them.
_NAMES: dict[str, tuple[str, ...]] = {
    "python": ("zipf", "hot", "market", "scan-heavy", "read-heavy", "mixed"),
    "native": ("zipf", "hot", "market", "uniform", "read-heavy", "mixed"),
}
_ACCOUNTS = 2_000
_ENDLESS = 1_000_000  # blocks of each


@dataclass(frozen=True)
class Mix:
    """vm: python or native."""

    seed: int = 1
    vm_name: str = "python"
    block_size: int = 200
    cost_us: float = 20.0
    name: str = "soak"
    vm_args: None = None

    def __post_init__(self) -> None:
        if self.vm_name not in _NAMES:
            raise InputError(f"vm is {self.vm_name!r}: give {' or '.join(_NAMES)}")

    @property
    def vm(self) -> str:
        return VMS[self.vm_name]

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {
            "workloads": list(_NAMES[self.vm_name]), "vm": self.vm_name, "block_size": self.block_size, "cost_us": self.cost_us,
            "accounts": _ACCOUNTS, "seed": self.seed,
        }

    def genesis(self) -> Mapping[bytes, bytes]:
        return {key: value for each in self._workloads() for key, value in each.genesis().items()}

    def blocks(self) -> Iterator[Block]:
        endless = [each.blocks() for each in self._workloads()]
        for blocks in cycle(endless):
            block = next(blocks, None)
            if block is None:
                return
            yield block

    def _workloads(self) -> list[Workload]:
        return [
            make(
                name, seed=self.seed, vm=self.vm_name, block_size=self.block_size, cost_us=self.cost_us, blocks=_ENDLESS, accounts=_ACCOUNTS
            )
            for name in _NAMES[self.vm_name]
        ]
