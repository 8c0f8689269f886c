"""The transactions that wait for a block, as far as this node let them in, and what the VM says of them.

A check stands on the newest state and on what the transactions before it wrote. A commit makes both anew: then those that still wait are
checked once more, in their order, before anything else is, whether the node asks for that (`recheck`) or not. Where it does ask, it hears
what that came to; and what it no longer asks about, while it asks about others, it no longer has.
"""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import Iterable

from ioi_exec.block.receipt import Receipt
from ioi_exec.errors import Error, MachineClosed
from ioi_exec.machine import ExecutionMachine
from ioi_exec.node.proposals import CODE, TakenOut

WAITING_MOST = 100_000
WAITING_BYTES = 256 << 20


class Pool:
    """May be asked from any thread."""

    def __init__(self, machine: ExecutionMachine, taken_out: TakenOut) -> None:
        self._machine = machine
        self._taken_out = taken_out
        self._lock = threading.Lock()
        self._waiting: dict[bytes, bytes] = {}  # by their hash, in their order
        self._bytes = 0
        self._verdicts: dict[bytes, Receipt] = {}  # of those that waited when the state moved on
        self._asked: set[bytes] = set()  # about again, since then
        self._new: set[bytes] = set()  # since then
        self._moved = False

    def check(self, tx: bytes, again: bool) -> Receipt:
        """Whether it may wait. again: it was let in before, and a block has been committed since."""
        with self._lock:
            if (why := self._taken_out.receipt(tx, again)) is not None:
                self._leave(sha256(tx).digest())
                return why
            if not self._machine.checks:
                most = self._machine.limits.tx_bytes
                return Receipt() if len(tx) <= most else Receipt(CODE, error=f"the transaction has {len(tx)} bytes: at most {most}")
            if self._moved:
                self._check_all_again()
            digest = sha256(tx).digest()
            if again and digest in self._verdicts:
                self._asked.add(digest)
                return self._verdicts[digest]
            receipt = self._check(tx)
            if receipt.ok:
                self._enter(digest, tx)
            return receipt

    def committed(self, txs: Iterable[bytes]) -> None:
        """The state has moved on, by a block of these."""
        with self._lock:
            for tx in txs if self._waiting else ():
                self._leave(sha256(tx).digest())
            self._moved = True

    def _check_all_again(self) -> None:
        self._moved = False
        if self._asked:
            for digest in [digest for digest in self._waiting if digest not in self._asked and digest not in self._new]:
                self._leave(digest)
        self._asked, self._new, self._verdicts = set(), set(), {}
        for digest, tx in list(self._waiting.items()):
            receipt = self._verdicts[digest] = self._check(tx)
            if not receipt.ok:
                self._leave(digest)

    def _check(self, tx: bytes) -> Receipt:
        try:
            return self._machine.check(tx)
        except MachineClosed:
            raise
        except Error as error:
            return Receipt(CODE, error=str(error))

    def _enter(self, digest: bytes, tx: bytes) -> None:
        self._leave(digest)
        self._waiting[digest] = tx
        self._new.add(digest)
        self._bytes += len(tx)
        while len(self._waiting) > WAITING_MOST or self._bytes > WAITING_BYTES:
            self._leave(next(iter(self._waiting)))

    def _leave(self, digest: bytes) -> None:
        self._bytes -= len(self._waiting.pop(digest, b""))
