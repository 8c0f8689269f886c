"""Ctrl-C, kept for a moment; and SIGTERM, which says the same."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator


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
    numbers = [signal.SIGINT] + [signal.SIGTERM] * (signal.getsignal(signal.SIGTERM) is signal.default_int_handler)
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
def by_sigterm() -> Iterator[None]:
    """`with by_sigterm():` SIGTERM, as `timeout` sends it, interrupts as Ctrl-C does. In the main thread."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
