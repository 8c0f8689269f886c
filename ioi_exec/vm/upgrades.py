"""Which VM executes which height: the one a state was created with, and those that took over from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ioi_exec.block.preparation import checked_initial_height
from ioi_exec.vm.fingerprint import fingerprint, said_code
from ioi_exec.vm.interpreter import Interpreter
from ioi_exec.vm.loading import LoadedVM, VMSpec


@dataclass(frozen=True)
class Upgrade:
    """height: of the first block that `vm` executes. interpreter: what it executes under; None: it is in C, or nobody recorded it.
    code: the fingerprint of its code (fingerprint.py), None if there is none or nobody recorded it."""

    height: int
    vm: VMSpec
    interpreter: Interpreter | None = None
    code: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"height": self.height, "vm": self.vm.to_json(), **self.recorded()}

    def recorded(self) -> dict[str, Any]:
        """What is recorded of what it executes under, as JSON."""
        interpreter = {} if self.interpreter is None else {"interpreter": self.interpreter.to_json()}
        return {**interpreter, **({} if self.code is None else {"code": self.code})}

    @classmethod
    def here(cls, height: int, vm: LoadedVM) -> Upgrade:
        """To a VM as this process has it. Raises VMError."""
        return cls(height, vm.spec, Interpreter.here(vm), fingerprint(vm))

    @classmethod
    def said(cls, value: Any) -> Upgrade:
        """What data says of one. Raises ValueError, InputError, InputTypeError, LookupError, TypeError."""
        return cls(checked_initial_height(value["height"]), VMSpec.said(value["vm"]), *said_recorded(value))

    def __str__(self) -> str:
        return f"{self.vm} at height {self.height}"


def said_recorded(value: Mapping[str, Any]) -> tuple[Interpreter | None, str | None]:
    """The inverse of `recorded`. Raises ValueError."""
    return (
        Interpreter.said(value["interpreter"]) if "interpreter" in value else None,
        said_code(value["code"]) if "code" in value else None,
    )


def said_upgrades(value: Any) -> tuple[Upgrade, ...]:
    """All that data tells of, by height. Raises as `Upgrade.said`."""
    if not isinstance(value, list):
        raise ValueError("its upgrades must be a list")
    found = tuple(map(Upgrade.said, value))
    if any(after.height <= before.height for before, after in zip(found, found[1:])):
        raise ValueError("its upgrades must be at heights that rise")
    return found
