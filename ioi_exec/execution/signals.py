"""Exceptions out of the calling program's signal handlers, while a VM executes in its process (`workers=0`).

A soft time limit, or Ctrl-C, is raised wherever the main thread happens to be, so often in the middle of a transaction, whose
code may take it for its own: let it pass, catch it, or turn it into a Revert. It is the program's, and ends the block whatever
became of it. So each handler is seen through by one that keeps what it raises; afterwards they are as they were. Between the
transactions handlers wait for their turn, so that what puts the program's settings back is never left in its middle.
"""

from __future__ import annotations

import signal
import threading
from types import CodeType, FrameType, TracebackType
from typing import Any, Callable

from ioi_shm import signal_restarts

Handler = Callable[[int, "FrameType | None"], Any]
_TRIES = 16  # to put handlers back while signals come
_seen_through: set[CodeType] = set()  # what calls the program's handlers


def of_a_handler(trace: TracebackType | None) -> bool:
    """Whether what has this traceback was raised by a handler of the program's, in the middle of a transaction."""
    while trace is not None and trace.tb_frame.f_code not in _seen_through:
        trace = trace.tb_next
    return trace is not None


class SeenSignals:
    """`with SeenSignals() as signals:` around a block; `raised` is what a handler has raised since it was last set to None.

    They wait, from the beginning and whenever `wait` is set to True, until `take` or the end.
    """

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self.wait = False
        self._waiting: list[tuple[Handler, int, FrameType | None]] = []
        self._seen: dict[int, tuple[Handler, Handler]] = {}  # by number: (the program's, ours)

    def __enter__(self) -> SeenSignals:
        if threading.current_thread() is not threading.main_thread():
            return self  # handlers run in the main thread alone
        former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self.wait = True
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    self._seen[number] = handler, self._seeing(handler)
                    _put(number, self._seen[number][1])
        except BaseException:  # of a signal that another thread took
            self._put_back()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait = True
        try:
            if self._seen:
                former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                try:
                    self._put_back()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, former)
        finally:
            self.take()

    def take(self) -> None:
        """Handlers that waited run now, and others as they come. Raises what they raise."""
        self.wait = False
        while self._waiting:
            handler, number, frame = self._waiting.pop(0)
            try:
                handler(number, frame)
            finally:
                if self._waiting:
                    self.take()

    def _put_back(self) -> None:
        """However often a handler that is back in its place raises here: it is raised at the end."""
        raised: BaseException | None = None
        for _ in range(_TRIES):
            try:
                while self._seen:
                    number, (theirs, ours) = next(iter(self._seen.items()))
                    if signal.getsignal(number) is ours:  # else a handler, or the VM, has put another one there
                        _put(number, theirs)
                    self._seen.pop(number, None)
                break
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised

    def _seeing(self, handler: Handler) -> Handler:
        def seeing(number: int, frame: FrameType | None) -> Any:
            if self.wait:
                return self._waiting.append((handler, number, frame))
            try:
                return handler(number, frame)
            except BaseException as error:
                self.raised = error
                raise

        _seen_through.add(seeing.__code__)
        return seeing


def _put(number: int, handler: Handler) -> None:
    restarts = signal_restarts(number)
    signal.signal(number, handler)
    if restarts:
        signal.siginterrupt(number, False)
