"""One thread at a time, in one process: said by the interface, checked here."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import Iterator

from ioi_exec.errors import MachineBusy, MachineClosed


class Guard:
    """Held during every call of a machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._pid = os.getpid()
        self.closed = False

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """For calls that change something. Raises MachineBusy, also inside another call of the same thread."""
        self._check(what)
        if not self._lock.acquire(blocking=False):
            where = "from inside another call" if self._owner == threading.get_ident() else "while another thread uses it"
            raise MachineBusy(f"{what} was called {where}: use a machine from one thread, one call after another")
        try:
            self._owner = threading.get_ident()
            self._check(what)
            yield
        finally:
            self._owner = 0
            self._lock.release()

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """For reads of the committed state, which `on_receipt` may do in the middle of `execute`."""
        if self._owner == threading.get_ident():
            self._check(what)
            yield
        else:
            with self.alone(what):
                yield

    def _check(self, what: str) -> None:
        if self._pid != os.getpid():
            raise MachineBusy(f"{what}: the machine belongs to the process that opened it; open one here after the fork")
        if self.closed:
            raise MachineClosed(f"{what}: the machine is closed; open it again")
