"""What the public interface is handed, looked at before anything is done with it. Every refusal is an InputTypeError or an
InputError that says which argument, what it was, and what to give. (A call with too few arguments, or with one that there is not, is
Python's own TypeError.)"""

from __future__ import annotations

import operator
import os

from ioi_exec.errors import InputError, InputTypeError

MAX_INT64 = (1 << 63) - 1

_SHOWN_MOST = 80  # characters of a value in a message
_PATH_MOST = 4095  # bytes, of Linux


def shown(value: object) -> str:
    """A value in a message: short, ASCII, and no error of its own, whatever it is."""
    try:
        text = ascii(value)
    except Exception:  # an int of more digits than Python writes, or a class of the caller's
        return f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= _SHOWN_MOST else f"{text[: _SHOWN_MOST - 3]}..."


def wrong_type(name: str, value: object, give: str) -> InputTypeError:
    return InputTypeError(f"{name} is {type(value).__name__}: give {give}")


def integer(name: str, value: object, least: int, most: int | None = None, *, give: str = "an integer") -> int:
    """The plain number. bool is none; what stands for an integer (of NumPy, say) is one. give: what messages ask for."""
    if isinstance(value, bool):
        raise wrong_type(name, value, give)
    try:
        number = int.__index__(value) if isinstance(value, int) else operator.index(value)  # type: ignore[arg-type]
    except Exception:
        raise wrong_type(name, value, give) from None
    if number < least or most is not None and number > most:
        bounds = f"from {least} to {power(most)}" if most is not None else f"of at least {least}"
        raise InputError(f"{name} is {shown(number)}: give {give if give != 'an integer' else f'an integer {bounds}'}")
    return number


def power(number: int) -> str:
    """2^63 - 1 rather than nineteen digits."""
    bits = number.bit_length()
    return f"2^{bits} - 1" if bits > 30 and number == (1 << bits) - 1 else str(number)


def flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(name, value, "True or False")
    return value


def octets(name: str, value: object) -> bytes:
    if not isinstance(value, bytes):
        raise wrong_type(name, value, "bytes")
    return value


def text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type(name, value, "text (str)")
    return value


def function(name: str, value: object) -> None:
    """None is good too."""
    if value is not None and not callable(value):
        raise wrong_type(name, value, "a function, or None")


def path(name: str, value: object) -> str:
    """A path that the system can be asked for."""
    try:
        found = os.fspath(value)  # type: ignore[call-overload]
    except Exception:
        raise wrong_type(name, value, "a path: str, or what os.fspath makes str of") from None
    if not isinstance(found, str):
        raise wrong_type(name, value, "a path as str: os.fsdecode makes one of bytes")
    try:
        is_good = found != "" and b"\0" not in (encoded := os.fsencode(found))
    except UnicodeEncodeError:
        is_good = False
    if not is_good:
        raise InputError(f"{name} is {shown(found)}: give a path that is not empty, with no NUL and no half of a surrogate pair in it")
    if len(encoded) > _PATH_MOST:
        raise InputError(f"{name} is {shown(found)}: give a path of at most {_PATH_MOST:,} bytes")
    return found
