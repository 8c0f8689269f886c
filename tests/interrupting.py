"""Ctrl-C at every call of a job in turn, or at some of them."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Protocol

import effort

CALLS_APART = effort.amount("IOI_CALLS_APART", sample=17, many=3)  # of all calls, how far the next that is interrupted is
FIRST = effort.seed(0)


class Interruption:
    """KeyboardInterrupt as the call of that number returns, in C or in Python: what it returned is lost, as when a handler raises then."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.struck = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("return", "c_return") and not self.struck and not _finalizing(frame):
            self._left -= 1
            if self._left < 0:
                called = getattr(argument, "__name__", "") if event == "c_return" else f"return of {frame.f_code.co_name}"
                self.struck = f"{frame.f_code.co_filename}:{frame.f_lineno} {called}"
                raise KeyboardInterrupt


def _finalizing(frame: FrameType | None) -> bool:
    """There the interpreter prints what is raised, and goes on."""
    while frame is not None:
        if frame.f_code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


class Closes(Protocol):
    def close(self) -> None: ...


def everywhere(job: Callable[[], Closes], after: Callable[[str], None]) -> int:
    """job() interrupted at its calls in turn; after(where). How many there are, about."""
    at = FIRST % CALLS_APART
    while True:
        interruption = Interruption(at)
        try:
            sys.setprofile(interruption)
            try:
                store = job()
            finally:
                sys.setprofile(None)
        except KeyboardInterrupt:
            pass
        else:
            store.close()
            if not interruption.struck:
                return at
        after(interruption.struck)
        at += CALLS_APART


def files() -> list[str]:
    return sorted(os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.exists())
