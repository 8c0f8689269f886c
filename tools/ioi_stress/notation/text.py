"""Numbers and tables for people."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence


def short(number: float) -> str:
    """Three digits, or all of those before the point."""
    digits = 2 if abs(number) < 10 else 1 if abs(number) < 100 else 0
    return f"{number:,.{digits}f}"


def significant(number: float) -> str:
    """The same for what may be small: the first three digits that count."""
    if number == 0 or abs(number) >= 1:
        return short(number)
    return f"{number:.3g}" if abs(number) >= 1e-4 else f"{number:.2e}"


def compact(value: float) -> str:
    """1,000 as 1k: axes have little room."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def round_step(least: float) -> float:
    """The least of 1, 2, 5, 10, ... and their tenths that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


def thinned(values: Sequence[float], most: int) -> list[float]:
    """Every so many of them, at most `most`."""
    return list(values[:: -(-len(values) // most) or 1])


def table(heads: Sequence[str], lines: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """left: the columns that are aligned to the left, the others are to the right."""
    rows = [list(heads), *map(list, lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(row)).rstrip()
        for row in rows
    )


def counted(number: int, what: str) -> str:
    """"1 block", "2 blocks"."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
