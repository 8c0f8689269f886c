"""Ctrl-C, and other signals that ask a program to end, which are taken as Ctrl-C: each once, and kept for a moment."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any, Callable, Iterator

Handler = Callable[[int, "FrameType | None"], Any]
_ENDING = (signal.SIGTERM, signal.SIGHUP)  # kill, timeout, a service manager; a terminal that was closed
_ONE = 1.0  # seconds


@contextmanager
def ending_is_interruption() -> Iterator[None]:
    """SIGTERM and SIGHUP are as Ctrl-C inside: what was measured is told, and nothing is left behind. One that is ignored
    (nohup) stays so. In the main thread alone, as Python has it.

    Several within a second are one, so that none comes between an interruption and the `held()` of what cleans up after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -_ONE

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if monotonic() - last >= _ONE:
            last = monotonic()
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
    taken = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    try:
        for number in taken:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


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
