"""Which VM executes which height: the one a state was created with, and those that took over from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ioi_exec.block.preparation import checked_initial_height
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import VMSpec


@dataclass(frozen=True)
class Upgrade:
    """height: of the first block that `vm` executes. interpreter: what it executes under; None: it is in C, or nobody recorded it."""

    height: int
    vm: VMSpec
    interpreter: Interpreter | None = None

    def to_json(self) -> dict[str, Any]:
        recorded = {} if self.interpreter is None else {"interpreter": self.interpreter.to_json()}
        return {"height": self.height, "vm": self.vm.to_json(), **recorded}

    @classmethod
    def said(cls, value: Any) -> Upgrade:
        """What data says of one. Raises ValueError, InputError, InputTypeError, LookupError, TypeError."""
        interpreter = Interpreter.said(value["interpreter"]) if "interpreter" in value else None
        return cls(checked_initial_height(value["height"]), VMSpec.said(value["vm"]), interpreter)

    def __str__(self) -> str:
        return f"{self.vm} at height {self.height}"


def said_upgrades(value: Any) -> tuple[Upgrade, ...]:
    """All that data tells of, by height. Raises as `Upgrade.said`."""
    if not isinstance(value, list):
        raise ValueError("its upgrades must be a list")
    found = tuple(map(Upgrade.said, value))
    if any(after.height <= before.height for before, after in zip(found, found[1:])):
        raise ValueError("its upgrades must be at heights that rise")
    return found
