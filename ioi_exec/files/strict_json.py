"""JSON with nothing left to interpretation: no floats, no NaN, no duplicate keys, no unknown fields, no byte order mark.

Numbers are non-negative integers, or decimal strings where they can pass 2^53. Bytes are hex without 0x, in either case.
All functions raise Malformed with the reason alone; the readers add where.
"""

from __future__ import annotations

import json
import re
from typing import Any, Collection, Mapping

from ioi_shm import call_apart

from ioi_exec.vm.interpreter import RECURSION_LIMIT

MAX_EXACT = 1 << 53

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,77})")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


class Malformed(Exception):
    """Why something cannot be read."""


def _loaded(text: str, floats: bool) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_float=float if floats else _no_float, parse_constant=_no_constant)


def parse(text: bytes, *, floats: bool = False) -> Any:
    """The value of a JSON text in UTF-8. floats: whether numbers may have a fraction."""
    if text.startswith(b"\xef\xbb\xbf"):
        raise Malformed("it begins with a byte order mark: save it as UTF-8 without one")
    try:
        return call_apart(RECURSION_LIMIT, _loaded, text.decode("utf-8"), floats)  # whatever limit others have set: a high one ends the process
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        what = error.msg.removesuffix(" at")  # "Unterminated string starting at"
        raise Malformed(f"it is not JSON: {what} at {where}") from None
    except UnicodeDecodeError as error:
        raise Malformed(f"it is not UTF-8: byte {error.start} is wrong") from None
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    except ValueError:  # an integer of thousands of digits
        raise Malformed("it has a number that is too long") from None


def json_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be an object, not {_kind(value)}")
    return value


def fields(value: Mapping[str, Any], known: Collection[str], required: Collection[str]) -> None:
    """Refuse fields that are not known and miss those that are required."""
    for name in value:
        if name not in known:
            raise Malformed(f"unknown field {_shown(name)} (known: {', '.join(known)})")
    for name in required:
        if name not in value:
            raise Malformed(f"field {name!r} is missing")


def number(value: Any, name: str, most: int) -> int:
    """A non-negative integer up to `most`, from a number or a decimal string."""
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise Malformed(f"{name} {_shown(value)} is no decimal number: digits only, without leading zeros")
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{name} must be an integer, not {_kind(value)}")
    if value < 0:
        raise Malformed(f"{name} must not be negative")
    if value > most:
        raise Malformed(f"{name} is too large: at most {most}")
    return value


def hex_bytes(value: Any, name: str, length: int | None = None) -> bytes:
    """Bytes from hex, `length` of them if given."""
    if not isinstance(value, str):
        raise Malformed(f"{name} must be hex, not {_kind(value)}")
    if not _HEX.fullmatch(value):
        hint = " (leave out the 0x)" if value[:2] in ("0x", "0X") else ""
        raise Malformed(f"{name} {_shown(value)} is no hex: an even number of the digits 0-9 a-f{hint}")
    if length is not None and len(value) != 2 * length:
        raise Malformed(f"{name} must be {length} bytes ({2 * length} hex digits), not {len(value) // 2}")
    return bytes.fromhex(value)


def written(value: int) -> int | str:
    """How a number is written that can be large: beyond 2^53 as a string, since many readers keep only doubles."""
    return value if value <= MAX_EXACT else str(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Malformed(f"{_shown(name)} occurs twice in one object")
            seen.add(name)
    return value


def _no_float(text: str) -> Any:
    raise Malformed(f"{_shown(text)} is no integer")


def _no_constant(text: str) -> Any:
    raise Malformed(f"{text} is no JSON number")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", type(None): "null"}
    return kinds.get(type(value), type(value).__name__)
