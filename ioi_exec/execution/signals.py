"""Exceptions out of the calling program's signal handlers, while a VM executes in its process (`workers=0`).

A soft time limit, or Ctrl-C, is raised wherever the main thread happens to be, so often in the middle of a transaction, whose
code may take it for its own: let it pass, catch it, or turn it into a Revert. It is the program's, and ends the block whatever
became of it. So each handler is seen through by one that keeps what it raises; afterwards they are as they were.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Callable

from ioi_shm import signal_restarts

Handler = Callable[[int, "FrameType | None"], Any]


class SeenSignals:
    """`with SeenSignals() as signals:` around a block; `raised` is what a handler has raised since it was last set to None."""

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self._seen: dict[int, tuple[Handler, Handler]] = {}  # by number: (the program's, ours)

    def __enter__(self) -> SeenSignals:
        if threading.current_thread() is not threading.main_thread():
            return self  # handlers run in the main thread alone
        try:
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self._seen[number] = handler, self._seeing(handler)
                    _put(number, self._seen[number][1])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, (theirs, ours) in self._seen.items():
            if signal.getsignal(number) is ours:  # else a handler, or the VM, has put another one there
                _put(number, theirs)
        self._seen.clear()

    def _seeing(self, handler: Handler) -> Handler:
        def seeing(number: int, frame: FrameType | None) -> Any:
            try:
                return handler(number, frame)
            except BaseException as error:
                self.raised = error
                raise

        return seeing


def _put(number: int, handler: Handler) -> None:
    restarts = signal_restarts(number)
    signal.signal(number, handler)
    if restarts:
        signal.siginterrupt(number, False)
