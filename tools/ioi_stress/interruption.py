"""Ctrl-C, kept for a moment; and SIGTERM, which says the same."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Iterator

_ONE = 1.0  # seconds


@contextmanager
def held() -> Iterator[None]:
    """`with held():` Ctrl-C inside comes when the block is over: what cleans up is not left half done.

    Python delivers it to the main thread alone, so in any other there is nothing to hold."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)

    # SIGTERM only where it interrupts: elsewhere it ends the process, as it should.
    numbers = [signal.SIGINT] + [signal.SIGTERM] * callable(signal.getsignal(signal.SIGTERM))
    before = [(number, signal.signal(number, remember)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            # None: a handler that was not installed from Python, which cannot be put back.
            signal.signal(number, signal.default_int_handler if handler is None else handler)
    if came:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """`with interruptible():` SIGTERM, as `timeout` sends it, interrupts as Ctrl-C does; and several within a second are one, so that
    none comes between an interruption and the `held()` of what cleans up after it. In the main thread."""
    last = -_ONE

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if monotonic() - last >= _ONE:
            last = monotonic()
            raise KeyboardInterrupt

    # A shell may have had Ctrl-C ignored.
    numbers = [signal.SIGTERM] + [signal.SIGINT] * callable(signal.getsignal(signal.SIGINT))
    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
