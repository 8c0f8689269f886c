"""Things to be done at their time, while something else is waited for."""

from __future__ import annotations

import heapq
import itertools
from time import monotonic
from typing import Callable


class Timeline:
    """Everything happens in the thread that waits."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (monotonic() + seconds, next(self._numbers), action))

    def next_in(self, most: float) -> float:
        """Seconds until the next event, at most so many."""
        return min(most, max(0.0, self._events[0][0] - monotonic())) if self._events else most

    def do_what_is_due(self) -> None:
        while self._events and self._events[0][0] <= monotonic():
            heapq.heappop(self._events)[2]()

    def do_all(self) -> None:
        """Now, in their order; and what they put here in turn."""
        while self._events:
            heapq.heappop(self._events)[2]()
