"""When a sequencer makes its blocks: at once, on demand, or every so many milliseconds. A thread of its own."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Callable

from ioi_exec.errors import Error, MachineClosed
from ioi_exec.node.logs import told
from ioi_exec.node.sequencer import FATAL, Happened, Sequencer

log = logging.getLogger("ioi_exec.node")


@dataclass(frozen=True)
class Pace:
    """every_ms: 0: at once, when something waits; None: only when it is told to."""

    every_ms: int | None = 0

    def __str__(self) -> str:
        if self.every_ms is None:
            return "on demand"
        return f"every {self.every_ms} ms" if self.every_ms else "at once"


class Producer:
    """Makes blocks from `start` to `stop`. failed: is called where the chain cannot go on. error: why the last block could not be made."""

    def __init__(self, sequencer: Sequencer, pace: Pace, failed: Callable[[BaseException], None]) -> None:
        self.pace = pace
        self.error = ""
        self._sequencer = sequencer
        self._failed = failed
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        sequencer.listen(self._told)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the block that is being made."""
        self._ending = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def mine(self, blocks: int) -> int:
        """Make so many blocks now, the first of what waits; returns the height of the last. Raises what `Sequencer.mine` raises."""
        height = self._sequencer.ledger.height
        for _ in range(blocks):
            height = self._mine(True) or height
        return height

    def _mine(self, empty: bool) -> int | None:
        try:
            made = self._sequencer.mine(empty=empty)
        except MachineClosed:
            raise
        except FATAL as error:
            self._failed(error)
            raise
        except Error as error:
            self.error = str(error)
            raise
        self.error = ""
        return made

    def _told(self, happened: Happened) -> None:
        if happened.kind == "waits" and self.pace.every_ms == 0:
            self._wake.set()

    def _run(self) -> None:
        interval = (self.pace.every_ms or 0) / 1000
        next_one = monotonic() + interval
        while True:
            self._wake.wait(max(next_one - monotonic(), 0) if interval else None)
            self._wake.clear()
            if self._ending:
                return
            if interval:
                next_one = max(next_one + interval, monotonic())
            try:
                made = self._mine(bool(interval))
                if made is not None and self.pace.every_ms == 0 and len(self._sequencer.mempool):
                    self._wake.set()  # what the block had no room for
            except FATAL:
                return
            except Error as error:
                told(log, "no block could be made", logging.ERROR, error=str(error))
            except BaseException as error:
                self._failed(error)
                return
