"""One thread at a time, in one process: said by the interface, checked here."""

from __future__ import annotations

import _thread
import threading
from typing import TYPE_CHECKING

from ioi_storage import process

from ioi_exec.errors import MachineBusy, MachineClosed


class Guard:
    """Held during every call of a machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held only while looking at `_holder` and changing it
        self._holder: _Call | None = None
        self._pid = process.pid
        self.closed = False

    def alone(self, what: str) -> _Call:
        """For calls that change something. Raises MachineBusy, also inside another call of the same thread."""
        return _Call(self, what, inside=False)

    def reading(self, what: str) -> _Call:
        """For reads of the committed state, which `on_receipt` may do in the middle of `execute`."""
        return _Call(self, what, inside=True)

    def check(self, what: str) -> None:
        """For what any thread may do at any time. Raises MachineBusy in another process, MachineClosed."""
        if self._pid != process.pid:
            raise MachineBusy(f"{what}: the machine belongs to the process that opened it; open one here after the fork")
        if self.closed:
            raise MachineClosed(f"{what}: the machine is closed; open it again")


class _Call(_thread.RLock):  # type: ignore[misc]  # final in typeshed, not in CPython
    """What the `with` of a call holds: a lock of its own, whose `__exit__` is the one of C.

    A signal handler may raise before any line of Python, so before the first line of an `__exit__` in Python too, and the
    machine would be busy for good. No generator either: that would cost more than a read does.
    """

    if TYPE_CHECKING:

        def _is_owned(self) -> bool: ...

    def __new__(cls, guard: Guard, what: str, inside: bool) -> _Call:
        return super().__new__(cls)

    def __init__(self, guard: Guard, what: str, inside: bool) -> None:
        self._guard = guard
        self._what = what
        self._inside = inside  # whether another call of the same thread may be going on

    def __enter__(self) -> bool:  # type: ignore[override]
        guard = self._guard
        guard.check(self._what)
        try:
            self.acquire()
            with guard._lock:
                holder = guard._holder
                if holder is None or holder.over():
                    guard._holder = self
                elif not holder._is_owned():
                    raise self._busy("while another thread uses it")
                elif not self._inside:
                    raise self._busy("from inside another call")
            guard.check(self._what)  # it may have been closed meanwhile
        except BaseException:
            if self._is_owned():
                self.release()
            raise
        return True

    def over(self) -> bool:
        """Whether its `with` has been left."""
        if self._is_owned() or not self.acquire(blocking=False):
            return False
        self.release()
        return True

    def _busy(self, where: str) -> MachineBusy:
        return MachineBusy(f"{self._what} was called {where}: use a machine from one thread, one call after another")
