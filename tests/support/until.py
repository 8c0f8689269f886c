"""What chance has to bring is tried until it has, however quick or busy the machine is."""

from __future__ import annotations

from itertools import count
from typing import Callable, Iterator

TIMES = 100


def until(enough: Callable[[], bool], least: int = 1) -> Iterator[int]:
    """0, 1, 2, ...: `least` of them, and on until there is `enough`. AssertionError if a hundred times as many bring nothing."""
    for number in count():
        if number >= least and enough():
            return
        assert number < TIMES * least, f"{number} times, and what this tests has not happened"
        yield number
