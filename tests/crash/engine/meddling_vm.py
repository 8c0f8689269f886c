"""A VM with a thread of its own, which uses the state while a transaction does, ends, fails, is aborted, or waits inside it."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable

from faulty_vms import Ledger

from ioi_exec import StateView, TxContext


class Meddling(Ledger):
    """As Ledger, but for b"raise", which fails. Its thread is given each state, with a scan and a checkpoint of it that are under way, and uses
    them, over and over, until the next one comes. Where it is answered in any other way than by RuntimeError every later receipt says so.

    A transaction goes on once its state has been refused everything, and the one before once more after its end."""

    def __init__(self) -> None:
        super().__init__()
        self.states: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.refused = threading.Semaphore(0)
        self.answered: list[str] = []
        threading.Thread(target=self.meddle, daemon=True).start()

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        scan = state.scan()
        next(scan, None)
        with state.checkpoint() as checkpoint:
            self.states.put((state, scan, checkpoint))
            self.refused.acquire()
            said = super().execute(tx[:2], state, ctx)
        if tx == b"raise":
            raise ValueError("as asked")
        return b" ".join([said, *(name.encode() for name in self.answered)])

    def meddle(self) -> None:
        given = self.states.get()
        while True:
            self.use(*given)
            self.refused.release()
            while self.states.empty():
                self.use(*given)
                time.sleep(0.0001)  # else it would keep the interpreter to itself for 5 ms at a time
            self.use(*given)
            given = self.states.get()

    def use(self, state: Any, scan: Any, checkpoint: Any) -> None:
        uses: list[Callable[[], object]] = [
            lambda: state.get(b"k0"), lambda: state.exists(b"k0"), lambda: state.put(b"meddled", b"1"), lambda: state.delete(b"k0"),
            lambda: state.scan(), lambda: next(scan), lambda: state.checkpoint().__enter__(),
        ]
        for number, call in enumerate(uses):
            try:
                call()
            except RuntimeError:
                continue
            except BaseException as error:
                self.answered.append(f"{number}:{type(error).__name__}")
            else:
                self.answered.append(f"{number}:answered")
