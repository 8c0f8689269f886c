"""How a transaction says that it fails."""

from __future__ import annotations

from typing import TypeGuard


class Revert(Exception):
    """Raised in `VM.execute`: the transaction fails, its writes vanish, the receipt has this code and text.

    code: 1 .. 2^32 - 1 (else ValueError). message: cut after 1,024 bytes in the receipt.
    """

    def __init__(self, message: str = "", code: int = 1) -> None:
        if not isinstance(message, str):
            raise TypeError(f"Revert: the message is {type(message).__name__}, not str")
        if not valid_code(code):
            raise ValueError(f"Revert: the code is {code!r}: give an integer from 1 to 2^32 - 1")
        super().__init__(message, code)
        self.message = message
        self.code = code


def valid_code(code: object) -> TypeGuard[int]:
    """Of an int of a subclass, what counts is the number it truly is."""
    kind = type(code)
    return issubclass(kind, int) and kind is not bool and 1 <= int.__index__(code) < 1 << 32  # type: ignore[arg-type]
