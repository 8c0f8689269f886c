"""What a VM in Python executes under, beside its own code: recorded with a state, which then refuses any other until it is accepted.

Texts of values, sorting, recursion and the bytecode's order of evaluation differ between minor versions of CPython; what a VM
calls of an installed package is that package's. A VM in C does not depend on them.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Mapping

from ioi_exec.errors import VMError
from ioi_exec.vm.loading import LoadedVM

# The stated settings, which execution/settings.py puts in force: another one here is another interpreter.
RECURSION_LIMIT = 1000
INT_DIGITS = 4300  # sys.set_int_max_str_digits: of an int as decimal text

PYTHON = f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"
_SETTINGS = {"recursion_limit": RECURSION_LIMIT, "int_digits": INT_DIGITS, "optimize": 0}
_TEXT_MOST = 200


@dataclass(frozen=True)
class Interpreter:
    """python: implementation and minor version. dependencies: versions of the distributions that the VM declares, as

        class MyVM:
            dependencies = ["numpy"]
    """

    python: str
    settings: dict[str, int]
    dependencies: dict[str, str]

    @classmethod
    def here(cls, vm: LoadedVM) -> Interpreter | None:
        """What `vm` would execute under in this process and its workers; None for a VM in C. Raises VMError."""
        if vm.native is not None:
            return None
        return cls(PYTHON, dict(_SETTINGS), _versions(vm))

    @classmethod
    def said(cls, value: object) -> Interpreter:
        """What a state says of it, fit to be compared and shown. Raises ValueError."""
        if not isinstance(value, dict) or value.keys() != {"python", "settings", "dependencies"}:
            raise ValueError("its interpreter must be an object of python, settings and dependencies")
        python, settings, dependencies = value["python"], value["settings"], value["dependencies"]
        texts = [python, *_items(settings, int), *_items(dependencies, str)]
        if not all(isinstance(text, str) and text.isprintable() and len(text) <= _TEXT_MOST for text in texts):
            raise ValueError("what it says of its interpreter must be short text that can be printed")
        return cls(python, settings, dependencies)

    def to_json(self) -> dict[str, Any]:
        return {"python": self.python, "settings": self.settings, "dependencies": self.dependencies}

    def __str__(self) -> str:
        settings = {name: value for name, value in self.settings.items() if _SETTINGS.get(name) != value}
        return ", ".join([self.python, *(f"{name} {value}" for name, value in sorted({**settings, **self.dependencies}.items()))])


def _items(value: object, of: type) -> list[Any]:
    """The names, and the values that are text. Raises ValueError."""
    if not isinstance(value, Mapping) or not all(type(item) is of for item in value.values()):
        raise ValueError("what it says of its interpreter is no object of names and versions")
    return [*value, *(value.values() if of is str else ())]


def _versions(vm: LoadedVM) -> dict[str, str]:
    declared = getattr(vm.instance, "dependencies", ())
    if isinstance(declared, str) or not all(isinstance(name, str) for name in declared):
        raise VMError(f"the VM {vm.spec.name} has dependencies that are no list of names of installed distributions")
    found = {}
    for name in declared:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise VMError(f"the VM {vm.spec.name} depends on {name}, which is not installed here: install it") from None
    return found
