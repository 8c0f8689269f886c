"""Which cores workers are pinned to: those that no other engine on this machine has claimed, or none.

A claim is a socket bound to an abstract name, one a core: nobody can leave one behind, for it goes with the process that has it,
and it needs no file and no right. Engines that share cores but not the network namespace (containers) do not see each other's: give
each its own cores (cpuset), or pin=False. A claim keeps nobody from running there; it is the engines' word among themselves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from ioi_exec.cores import allowed_cores

NAME = "\0ioi-exec-core-{}"


class Unpinned(Exception):
    """Why workers are not pinned."""


class Claims:
    """Cores that are this process's, among engines, until `release` or its end."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, count: int) -> list[int]:
        """So many of the cores that this process may use. Raises Unpinned when there are not so many free ones."""
        self.release()
        allowed = allowed_cores()
        if count > len(allowed):
            raise Unpinned(f"{count} workers, {len(allowed)} cores")
        cores: list[int] = []
        for core in allowed:
            if len(cores) < count and self._claim(core):
                cores.append(core)
        if len(cores) < count:
            self.release()
            raise Unpinned(f"other engines have {len(allowed) - len(cores)} of the {len(allowed)} cores that this one may use")
        return cores

    def release(self) -> None:
        """Idempotent."""
        while self._held:
            self._held.pop().close()

    def _claim(self, core: int) -> bool:
        try:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return False
        try:
            claim.bind(NAME.format(core))
        except OSError:
            claim.close()
            return False
        self._held.append(claim)
        return True


def put(pid: int, cores: Iterable[int]) -> None:
    """Have a process run on these cores. Raises Unpinned."""
    try:
        os.sched_setaffinity(pid, cores)
        if os.sched_getaffinity(pid) != set(cores):
            raise Unpinned(f"the cores {sorted(cores)} were not granted")
    except OSError as error:
        raise Unpinned(f"the system does not let this process choose cores: {error}") from error


def unpin(pid: int) -> None:
    """Have a process run wherever this one may, not where the one it was forked from was put once. Where that is refused it stays."""
    try:
        put(pid, allowed_cores())
    except Unpinned:
        pass
