"""Transactions that wait for a block, and what they leave of the state for the next one: what a node's CheckTx asks."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Hashable, Iterator, Protocol, Sequence

import ioi_storage

from ioi_exec.arguments import octets
from ioi_exec.block.receipt import Receipt
from ioi_exec.errors import LimitExceeded
from ioi_exec.execution import asking

_BLOCKS = 16  # committed since the last check, of which the transactions are remembered, for whoever checks to forget


class Asked(Protocol):
    """A machine."""

    def _moment(self, what: str) -> AbstractContextManager[ioi_storage.State]: ...

    def _stand(self, layer: ioi_storage.State) -> Hashable: ...

    def _checked(
        self, checks: asking.Checks | None, layer: ioi_storage.State, tx: bytes
    ) -> tuple[asking.Checks, Receipt]: ...


class Pending:
    """What `machine.pending()` returns. For any thread, beside blocks and commits; calls take turns.

    After a commit those that still wait are checked again, in their order, over the new state, before anything else is: those that were
    in the block are gone, and so are those that may no longer wait."""

    def __init__(self, machine: Asked, most: int) -> None:
        self._machine = machine
        self._most = most
        self._lock = threading.RLock()
        self._waiting: dict[bytes, Receipt] = {}
        self._committed: list[tuple[int, Sequence[bytes]]] = []  # by version; the last may be being committed
        self._checks: asking.Checks | None = None
        self._gone: dict[bytes, Receipt] = {}

    def check(self, tx: bytes) -> Receipt:
        """Whether it may wait, as `machine.check` says: over what those that wait wrote. From then on it does. One that waits already gets
        the receipt it has. Raises LimitExceeded where as many wait as may, and as `machine.check`."""
        octets("check: the transaction", tx)
        with self._lock, self._machine._moment("check") as layer:
            self._renew(layer)
            if (known := self._waiting.get(tx)) is not None:
                return known
            if len(self._waiting) >= self._most:
                raise LimitExceeded(f"check: {self._most} transactions wait for a block, and no more may: commit one, or remove some")
            self._checks, receipt = self._machine._checked(self._checks, layer, tx)
            if receipt.ok:
                self._waiting[tx] = receipt
            return receipt

    def renew(self) -> dict[bytes, Receipt]:
        """Check those that wait again, if something was committed since; `check` does it too. Returns what was found since the last call that
        no longer may wait, with why."""
        with self._lock, self._machine._moment("check") as layer:
            self._renew(layer)
            gone, self._gone = self._gone, {}
            return gone

    def remove(self, tx: bytes) -> None:
        """It no longer waits. What it wrote is there until the next commit."""
        with self._lock:
            self._waiting.pop(tx, None)

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[bytes]:
        """In the order in which they came."""
        with self._lock:
            return iter(list(self._waiting))

    def committing(self, version: int, txs: Sequence[bytes]) -> None:
        """Called by the machine, before it commits a block of these: who checks from then on may see the new state."""
        self._committed.append((version, txs))
        # Whoever commits waits for no check; one that goes on forgets them itself.
        if len(self._committed) > _BLOCKS and self._lock.acquire(blocking=False):
            try:
                self._forget(version - 1)
            finally:
                self._lock.release()

    def called_off(self) -> None:
        """Called by the machine: the last was not committed."""
        self._committed.pop()

    def _forget(self, version: int) -> None:
        """What was in blocks up to this version waits no more."""
        while self._committed and self._committed[0][0] <= version:
            for tx in self._committed.pop(0)[1]:
                self._waiting.pop(tx, None)

    def _renew(self, layer: ioi_storage.State) -> None:
        checks = self._checks
        if checks is not None and checks.stand == self._machine._stand(layer):
            return
        self._forget(layer.version)
        self._checks = checks = None
        wait: dict[bytes, Receipt] = {}
        gone: dict[bytes, Receipt] = {}
        for tx in list(self._waiting):
            checks, receipt = self._machine._checked(checks, layer, tx)
            (wait if receipt.ok else gone)[tx] = receipt
        self._waiting, self._checks = wait, checks
        self._gone = dict([*self._gone.items(), *gone.items()][-self._most :])
