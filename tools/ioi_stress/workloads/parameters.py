"""The parameters of a workload: declared once, as the fields of its dataclass; the command line reads them off it."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Callable, Sequence

from ioi_exec import InputError, InputTypeError

INTEGER, NUMBER, TEXT, TEXTS = "an integer", "a number", "text", "a list of texts"


@dataclass(frozen=True)
class Parameter:
    """One parameter as users see it. default: None where there is none, or where `help` says what it then is.

    least, most: of numbers, inclusive. positional: on a command line it stands without its name.
    """

    name: str
    field: str
    kind: str
    default: Any
    required: bool
    help: str
    metavar: str
    least: float | None
    most: float | None
    choices: tuple[str, ...] | None
    positional: bool

    def parse(self, text: str) -> Any:
        """A value from a command line or a table. Raises InputError."""
        if self.kind not in (INTEGER, NUMBER):
            return text
        try:
            return self.checked(int(text) if self.kind == INTEGER else float(text))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.name} is {text!r}: give {self.wanted()}") from None

    def checked(self, value: Any) -> Any:
        """The value, if it is one. Raises InputTypeError or InputError."""
        given: object = value
        if value is None and self.default is None and not self.required:
            return None
        kinds: dict[str, tuple[type, ...]] = {INTEGER: (int,), NUMBER: (int, float), TEXT: (str,), TEXTS: (list, tuple)}
        if isinstance(given, bool) or not isinstance(given, kinds[self.kind]):
            raise InputTypeError(f"{self.name} is {type(value).__name__}: give {self.wanted()}")
        if self.kind == TEXTS:
            if self.required and not value or not all(isinstance(each, str) for each in value):
                raise InputError(f"{self.name} is {value!r}: give {self.wanted()}")
            return tuple(value)
        if self.choices is not None and value not in self.choices:
            raise InputError(f"{self.name} is {value!r}: give {self.wanted()}")
        # Written so that it is false for NaN.
        if self.kind in (INTEGER, NUMBER) and not (self.least or 0) <= value <= (
            float("inf") if self.most is None else self.most
        ):
            raise InputError(f"{self.name} is {value}: give {self.wanted()}")
        return float(value) if self.kind == NUMBER else value

    def wanted(self) -> str:
        if self.choices is not None:
            return "one of " + ", ".join(self.choices)
        if self.kind not in (INTEGER, NUMBER):
            return self.kind
        return f"{self.kind} from {self.least or 0}" + ("" if self.most is None else f" to {self.most}")


def parameter(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    metavar: str = "N",
    kind: str = INTEGER,
    named: str | None = None,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] | None = None,
    positional: bool = False,
) -> Any:
    """A field of a workload's dataclass. named: what users call it, where the field cannot have that name."""
    metadata = {
        "help": help,
        "metavar": metavar,
        "kind": kind,
        "named": named,
        "least": least,
        "most": most,
        "choices": None if choices is None else tuple(choices),
        "positional": positional,
    }
    return dataclasses.field(default=default, metadata=metadata)


def parameters_of(workload: type) -> tuple[Parameter, ...]:
    """The parameters of a workload's class: its own first, then those of the classes it derives from."""
    found = []
    fields = {
        field.name: field for field in dataclasses.fields(workload) if field.metadata
    }  # the others it keeps for itself
    declared = dict.fromkeys(
        name for cls in workload.__mro__ for name in inspect.get_annotations(cls) if name in fields
    )
    for field in map(fields.__getitem__, declared):
        about = dict(field.metadata)
        required = field.default is dataclasses.MISSING
        about["name"] = about.pop("named") or field.name
        found.append(
            Parameter(field=field.name, required=required, default=None if required else field.default, **about)
        )
    return tuple(found)


def build(cls: Callable[..., Any], name: str, values: dict[str, Any]) -> Any:
    """A workload from parameters by the names that users know. Raises InputError or InputTypeError."""
    known = {each.name: each for each in parameters_of(cls)}  # type: ignore[arg-type]
    for given in values:
        if given not in known:
            raise InputError(f"the workload {name} has no parameter {given!r}: it has {', '.join(known)}")
    for each in known.values():
        if each.required and each.name not in values:
            raise InputError(f"the workload {name} needs {each.name}: {each.help}")
    return cls(**{known[given].field: value for given, value in values.items()})


def check_fields(workload: Any) -> None:
    """Raises InputTypeError or InputError, which name workload and parameter, unless all are what they may be."""
    for each in parameters_of(type(workload)):
        try:
            object.__setattr__(workload, each.field, each.checked(getattr(workload, each.field)))
        except (InputError, InputTypeError) as error:
            raise type(error)(f"{workload.name}: {error}") from None


def values_of(workload: Any) -> dict[str, Any]:
    """The parameters of a workload by the names that users know, as JSON has them."""
    values = {each.name: getattr(workload, each.field) for each in parameters_of(type(workload))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def exact(number: float) -> Fraction:
    """What a number says in decimal: 0.1 is one tenth, on every machine."""
    return Fraction(repr(float(number)))
