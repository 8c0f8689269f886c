"""What waits for a block, as CometBFT asks about it: `machine.pending()`, without what this node took out or no longer has."""

from __future__ import annotations

import threading

from ioi_exec.block.receipt import DONE, Receipt
from ioi_exec.errors import Error, MachineClosed
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.counts import Counts
from ioi_exec.node.proposals import CODE, TakenOut


class Pool:
    """May be asked from any thread, whatever block is executed or committed meanwhile."""

    def __init__(self, machine: ExecutionMachine, taken_out: TakenOut, counts: Counts) -> None:
        self._machine = machine
        self._counts = counts
        self._taken_out = taken_out
        self._pending = machine.pending() if machine.checks else None
        self._lock = threading.Lock()
        self._asked: set[bytes] = set()  # about again, since the last block
        self._new: set[bytes] = set()  # since then
        self._moved = False

    def check(self, tx: bytes, again: bool) -> Receipt:
        """Whether it may wait. again: it was let in before, and a block has been committed since."""
        with self._lock:
            receipt = self._checked(tx, again)
            self._counts.checks[again, receipt.ok] += 1
            return receipt

    def __len__(self) -> int:
        """How many wait, as far as is known here; 0 where the VM checks none."""
        return 0 if self._pending is None else len(self._pending)

    def _checked(self, tx: bytes, again: bool) -> Receipt:
        why = self._taken_out.receipt(tx, again)
        if self._pending is None:
            most = self._machine.limits.tx_bytes
            return why or (DONE if len(tx) <= most else Receipt(CODE, error=f"the transaction has {len(tx)} bytes: at most {most}"))
        if why is not None:
            self._pending.remove(tx)
            return why
        if self._moved:
            self._forget()
        try:
            receipt = self._pending.check(tx)
        except MachineClosed:
            raise
        except Error as error:
            return Receipt(CODE, error=str(error))
        if receipt.ok:
            (self._asked if again else self._new).add(tx)
        return receipt

    def committed(self) -> None:
        """A block was. It waits for no check."""
        self._moved = True

    def _forget(self) -> None:
        """Where the node asks again, what it did not ask about it no longer has."""
        self._moved = False
        assert self._pending is not None
        for tx in self._pending if self._asked else ():
            if tx not in self._asked and tx not in self._new:
                self._pending.remove(tx)
        self._asked, self._new = set(), set()
