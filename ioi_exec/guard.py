"""One thread at a time, in one process: said by the interface, checked here."""

from __future__ import annotations

import threading

from ioi_storage import process

from ioi_exec.errors import MachineBusy, MachineClosed


class Guard:
    """Held during every call of a machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._pid = process.pid
        self.closed = False

    def alone(self, what: str) -> _Call:
        """For calls that change something. Raises MachineBusy, also inside another call of the same thread."""
        return _Call(self, what, inside=False)

    def reading(self, what: str) -> _Call:
        """For reads of the committed state, which `on_receipt` may do in the middle of `execute`."""
        return _Call(self, what, inside=True)

    def _check(self, what: str) -> None:
        if self._pid != process.pid:
            raise MachineBusy(f"{what}: the machine belongs to the process that opened it; open one here after the fork")
        if self.closed:
            raise MachineClosed(f"{what}: the machine is closed; open it again")

    def _enter(self, what: str) -> None:
        if not self._lock.acquire(blocking=False):
            where = "from inside another call" if self._owner == threading.get_ident() else "while another thread uses it"
            raise MachineBusy(f"{what} was called {where}: use a machine from one thread, one call after another")

    def _leave(self) -> None:
        self._owner = 0
        self._lock.release()


class _Call:
    """What the `with` of a call holds. No generator: that would cost more than a read does."""

    __slots__ = ("_guard", "_what", "_inside", "_entered")

    def __init__(self, guard: Guard, what: str, inside: bool) -> None:
        self._guard = guard
        self._what = what
        self._inside = inside  # whether another call of the same thread may be going on
        self._entered = False

    def __enter__(self) -> None:
        guard = self._guard
        guard._check(self._what)
        if self._inside and guard._owner == threading.get_ident():
            return
        guard._enter(self._what)
        try:
            self._entered = True
            guard._owner = threading.get_ident()
            guard._check(self._what)  # it may have been closed meanwhile
        except BaseException:
            guard._leave()
            raise

    def __exit__(self, *exception: object) -> None:
        if self._entered:
            self._guard._leave()
