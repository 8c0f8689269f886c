"""What engines leave when they end: their processes must follow them."""

from __future__ import annotations

from time import monotonic, sleep

from ioi_stress.chaos.processes import described, marked

ENDING_SECONDS = 20.0  # for processes to end with their parent, on a machine that is busy; some are stopped, and must go on first


class Orphanage:
    """Marks of engines that have ended, and since when."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def add(self, mark: str) -> None:
        self._since[mark] = monotonic()

    def overdue(self, patience: float) -> list[str]:
        """Waits at most so long; describes, and kills, what is still there though its engine has ended long ago."""
        end = monotonic() + patience
        while True:
            left = {mark: processes for mark in self._since if (processes := marked(mark))}
            self._since = {mark: since for mark, since in self._since.items() if mark in left}
            if not left or monotonic() >= end:
                break
            sleep(0.02)
        found = []
        for mark, processes in left.items():
            if monotonic() - self._since[mark] >= ENDING_SECONDS:
                del self._since[mark]
                found += [described(process) for process in processes]
                for process in processes:
                    process.kill()
        return found
