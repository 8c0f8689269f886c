"""How far a sweep is: a bar where there is a terminal or a notebook and rich, else a line now and then if it takes
long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from time import monotonic
from typing import Any, Callable, Iterator, TextIO

Shown = Callable[[int, str], None]
"""Called with how many rows are done, and what comes next."""

EVERY_SECONDS = 10.0


@contextmanager
def progress(wanted: bool | None, total: int, done: int, stream: TextIO | None = None) -> Iterator[Shown]:
    """wanted: None shows it where somebody looks on, which is a terminal or a notebook. done: of `total`, from an
    earlier time."""
    stream = stream or sys.stderr
    looked_at = stream.isatty() or in_notebook()
    if wanted is False or wanted is None and not looked_at:
        yield lambda number, what: None
        return
    rich = _rich() if looked_at else None
    if rich is None:
        yield _lines(stream, total, done)
        return
    console, columns = rich["Console"](file=None if in_notebook() else stream), rich["columns"]
    with rich["Progress"](*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda number, what: bar.update(task, completed=number, description=what)


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    try:
        return type(sys.modules["IPython"].get_ipython()).__name__ == "ZMQInteractiveShell"
    except (KeyError, AttributeError):
        return False


def _rich() -> dict[str, Any] | None:
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        return None
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    return {"Console": Console, "Progress": Progress, "columns": columns}


def _lines(stream: TextIO, total: int, done: int) -> Shown:
    began = last = monotonic()
    said = False

    def line(number: int, what: str) -> None:
        nonlocal last, said
        now = monotonic()
        if number < total and (number == done or now - last < EVERY_SECONDS) or number == total and not said:
            return
        last, said = now, True
        left = (now - began) / max(number - done, 1) * (total - number)
        stream.write(
            f"{number:,} of {total:,} rows" + (f", about {_time(left)} left; next {what}\n" if number < total else "\n")
        )
        stream.flush()

    return line


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )
