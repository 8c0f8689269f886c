"""What engines leave when they end: their processes must follow them."""

from __future__ import annotations

from time import monotonic, sleep

from ioi_stress.chaos.processes import described, marked

ENDING_SECONDS = 20.0  # for processes to end with their parent, on a machine that is busy; what is stopped must go on first


class Orphanage:
    """Marks of engines that have ended, and since when. seconds: what ends within so many is no orphan."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[str, float] = {}

    def add(self, mark: str) -> None:
        self._since[mark] = monotonic()

    def overdue(self, *, wait: bool) -> list[str]:
        """Describes, and kills, the processes that are still there though their time is over. wait: until it is for all."""
        found = []
        while self._since:
            for mark, since in list(self._since.items()):
                processes = marked(mark)
                if processes and monotonic() - since < self._seconds:
                    continue
                del self._since[mark]
                found += [described(process) for process in processes]
                for process in processes:
                    process.kill()
            if not wait:
                break
            sleep(0.02)
        return found
