"""A schedule of gas as JSON: an object of some of its fields, {"flat": 10, "get": 2, "block_limit": 10000000}."""

from __future__ import annotations

from typing import Any, BinaryIO

from ioi_exec.arguments import MAX_INT64
from ioi_exec.errors import InputError, InputTypeError
from ioi_exec.files.strict_json import Malformed, json_object, number, parse, written
from ioi_exec.gas import GasSchedule

_MOST_BYTES = 1 << 16


def gas_object(gas: GasSchedule) -> dict[str, int | str | None]:
    """All fields; numbers that JSON's readers may round are text."""
    return {name: None if value is None else written(value) for name, value in gas.to_json().items()}


def gas_schedule(value: Any) -> GasSchedule:
    """Raises Malformed."""
    given = json_object(value, "gas")
    try:
        return GasSchedule.said({name: None if cost is None else number(cost, name, MAX_INT64) for name, cost in given.items()})
    except (InputError, InputTypeError) as error:
        raise Malformed(str(error)) from None


def read_gas(stream: BinaryIO, name: str) -> GasSchedule:
    """Raises InputError as "name: reason"."""
    try:
        text = stream.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise Malformed(f"it has more than {_MOST_BYTES} bytes: a schedule of gas is a small object")
        return gas_schedule(parse(text))
    except Malformed as error:
        raise InputError(f"{name}: {error}") from None
