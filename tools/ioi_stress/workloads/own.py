"""A workload of one's own: whatever a function or class makes that is a Workload."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Iterator, Mapping, Sequence

from ioi_exec import InputError
from ioi_stress.workload import Block, Workload, lacking
from ioi_stress.workloads.parameters import (
    TEXT,
    TEXTS,
    check_fields,
    parameter,
    values_of,
)


@dataclass(frozen=True, kw_only=True)
class Own:
    """Raises InputError for what cannot be found or is no Workload; what the function itself raises passes through."""

    name: ClassVar[str] = "own"
    summary: ClassVar[str] = "a workload of your own: what a function or class in Python makes"
    example: ClassVar[str] = "own my_workloads:auction --set bidders=50 --set seed=2"
    details: ClassVar[str] = ""

    target: str = parameter(
        kind=TEXT,
        metavar="MODULE:NAME",
        positional=True,
        help="function or class that makes it, found from the working directory (ioi_stress.workload says what it must have)",
    )
    set: tuple[str, ...] = parameter(
        (),
        kind=TEXTS,
        metavar="KEY=VALUE",
        help="an argument for it; a value that is JSON is taken as such, any other as text",
    )
    _made: Workload = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        made = _called(_found(self.target), dict(map(_argument, self.set)), self.target)
        if missing := lacking(made):
            raise InputError(
                f"own: {self.target} made a {type(made).__name__} without {missing[0]!r}: that is no workload"
            )
        object.__setattr__(self, "_made", made)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {**self._made.parameters, **values_of(self)}

    @property
    def vm(self) -> str | type | object:
        return self._made.vm

    @property
    def vm_args(self) -> Mapping[str, Any] | Sequence[Any] | None:
        return self._made.vm_args

    def genesis(self) -> Mapping[bytes, bytes]:
        return self._made.genesis()

    def blocks(self) -> Iterator[Block]:
        return self._made.blocks()


def _found(target: str) -> Any:
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise InputError(f"own: {target!r} names nothing: give module:function or module:Class")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"own: the module {module} cannot be imported: {error}") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise InputError(f"own: the module {module} has no function or class {name!r}")
    return found


def _called(function: Any, arguments: dict[str, Any], target: str) -> Any:
    """What it makes. Raises InputError for arguments that it does not take."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise InputError(f"own: {target}: {error}: --set gives its arguments") from None
    except ValueError:
        pass  # it does not say what it takes
    return function(**arguments)


def _argument(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise InputError(f"own: --set {text!r}: give NAME=VALUE")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value
