"""Ctrl-C, and what is taken as Ctrl-C: kept for a moment."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Iterator

from ioi_exec.cli.interruption import ENDING

Handler = Callable[[int, "FrameType | None"], Any]


@contextmanager
def held() -> Iterator[None]:
    """`with held():` Ctrl-C inside comes when the block is over: what cleans up is not left half done.

    So does all else whose handler is Python's; the others end the process or do nothing. Python delivers them to the main
    thread alone, so in any other there is nothing to hold."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[Handler, int, FrameType | None]] = []
    before = {number: handler for number in (signal.SIGINT, *ENDING) if callable(handler := signal.getsignal(number))}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: came.append((before[signal.Signals(number)], number, frame)))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for handler, sent, frame in came[:1]:
        handler(sent, frame)
