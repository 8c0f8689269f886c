"""Ctrl-C, kept for a moment; and other signals that ask a program to end, taken as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Iterator

Handler = Callable[[int, "FrameType | None"], Any]
_ENDING = (signal.SIGTERM, signal.SIGHUP)  # kill, timeout, a service manager; a terminal that was closed


@contextmanager
def ending_is_interruption() -> Iterator[None]:
    """SIGTERM and SIGHUP are as Ctrl-C inside: what was measured is told, and nothing is left behind. One that is ignored
    (nohup) stays so. In the main thread alone, as Python has it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """`with held():` Ctrl-C inside comes when the block is over: what cleans up is not left half done.

    So does all else whose handler is Python's; the others end the process or do nothing. Python delivers them to the main
    thread alone, so in any other there is nothing to hold."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[Handler, int, FrameType | None]] = []
    before = {number: handler for number in (signal.SIGINT, *_ENDING) if callable(handler := signal.getsignal(number))}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: came.append((before[signal.Signals(number)], number, frame)))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for handler, sent, frame in came[:1]:
        handler(sent, frame)
