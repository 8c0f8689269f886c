"""Whether a node is ready: what /readyz says."""

from __future__ import annotations

from time import monotonic, time_ns
from typing import Callable

from ioi_exec.node.application import Application

_NS = 1_000_000_000


class Readiness:
    """Ready is a node whose state is open, that CometBFT is connected to, and that keeps up: the newest block was committed in this process
    and in the last `seconds`, and is by its own time no older, which blocks are that are played again or caught up with.

    seconds: 0: blocks are not looked at, for a chain that makes some on demand alone."""

    def __init__(self, application: Application, connections: Callable[[], int], seconds: int) -> None:
        self._application = application
        self._connections = connections
        self._seconds = seconds

    def lacking(self) -> str:
        """What it is not ready for; empty: it is ready."""
        if self._application.closed:
            return "the state is closed"
        if not self._connections():
            return "no CometBFT is connected"
        if not self._seconds:
            return ""
        newest = self._application.counts.newest
        if newest is None:
            return "no block was committed since the daemon began"
        if (ago := monotonic() - newest.committed) > self._seconds:
            return f"the last block, {newest.height}, was committed {ago:.0f} s ago: at most {self._seconds} (monitoring.ready_seconds)"
        if (age := (time_ns() - newest.time_ns) / _NS) > self._seconds:
            return f"block {newest.height} is {age:.0f} s old: the node is behind its chain, or plays blocks again"
        return ""
