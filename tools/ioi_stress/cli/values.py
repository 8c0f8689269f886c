"""Values of options."""

from __future__ import annotations

import argparse
from typing import Callable, TypeVar

from ioi_exec import Error

T = TypeVar("T")


def checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """The same for argparse, which wants errors of its own."""

    def value(text: str) -> T:
        try:
            return parse(text)
        except Error as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


def several(parse: Callable[[str], T]) -> Callable[[str], list[T]]:
    """Values with commas between."""
    one = checked(parse)
    return lambda text: [one(part.strip()) for part in text.split(",")]
