"""Ctrl-C, and other signals that ask a program to end, which are taken as Ctrl-C: each once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Iterator

ENDING = (signal.SIGTERM, signal.SIGHUP)  # kill, timeout, a service manager; a terminal that was closed
_ONE = 1.0  # seconds


@contextmanager
def ending_is_interruption() -> Iterator[None]:
    """SIGTERM and SIGHUP are as Ctrl-C inside: what was done is told, and nothing is left behind. One that is ignored (nohup)
    stays so. In the main thread alone, as Python has it.

    Several within a second are one, so that none comes between an interruption and what cleans up after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -_ONE

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if monotonic() - last >= _ONE:
            last = monotonic()
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    taken = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    try:
        for number in taken:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
