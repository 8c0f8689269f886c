"""Figures with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ioi_stress.notation.text import short


class Figure(NamedTuple):
    """Of several measurements: the median, and what a tenth of them are below and above."""

    median: float
    p10: float
    p90: float
    worst: float

    @classmethod
    def of(cls, measured: Iterable[float]) -> Figure:
        ordered = sorted(measured)
        low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.1, 0.9))
        return cls(statistics.median(ordered), low, high, ordered[-1])

    def __str__(self) -> str:
        spread = f" ({short(self.p10)}..{short(self.p90)})"
        return short(self.median) + (spread if self.p10 < self.p90 else "")


def each_us(call: Callable[[bytes], object], rounds: Sequence[Sequence[bytes]]) -> Figure:
    """Microseconds of call(key), the loop around it included; one measurement a round. CPU time: nothing here waits, so
    that is the wall clock of a thread that has a core to itself."""
    measured = []
    for keys in rounds:
        began = time.thread_time()
        for key in keys:
            call(key)
        measured.append(1e6 * (time.thread_time() - began) / len(keys))
    return Figure.of(measured)


def all_us(call: Callable[[Sequence[bytes]], object], rounds: Sequence[Sequence[bytes]]) -> Figure:
    """Microseconds a key of call(keys)."""
    measured = []
    for keys in rounds:
        began = time.thread_time()
        call(keys)
        measured.append(1e6 * (time.thread_time() - began) / len(keys))
    return Figure.of(measured)
