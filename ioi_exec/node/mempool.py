"""What waits for a block of a chain that is made here, in the order in which it came; and why something was taken out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import sha256
from typing import Iterable

from ioi_exec.errors import LimitExceeded

MOST = 100_000
BYTES_MOST = 256 << 20
DROPPED_MOST = 10_000  # of which it is known why


class Mempool:
    """For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[bytes, bytes] = {}
        self._bytes = 0
        self._dropped: OrderedDict[bytes, str] = OrderedDict()

    def add(self, tx: bytes) -> bool:
        """False: it waits already. Raises LimitExceeded."""
        digest = sha256(tx).digest()
        with self._lock:
            if digest in self._waiting:
                return False
            if len(self._waiting) >= MOST or self._bytes + len(tx) > BYTES_MOST:
                raise LimitExceeded(f"{len(self._waiting)} transactions of {self._bytes} bytes wait, and no more may: make a block first")
            self._waiting[digest] = tx
            self._bytes += len(tx)
            self._dropped.pop(digest, None)
            return True

    def remove(self, txs: Iterable[bytes]) -> None:
        """They are in a block."""
        with self._lock:
            for tx in txs:
                self._take(sha256(tx).digest())

    def drop(self, tx: bytes, why: str) -> None:
        digest = sha256(tx).digest()
        with self._lock:
            self._take(digest)
            self._dropped[digest] = why
            while len(self._dropped) > DROPPED_MOST:
                self._dropped.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._dropped.clear()
            self._bytes = 0

    def listed(self, most: int | None = None) -> list[bytes]:
        with self._lock:
            return [tx for _, tx in zip(range(len(self._waiting) if most is None else most), self._waiting.values())]

    def get(self, digest: bytes) -> bytes | None:
        with self._lock:
            return self._waiting.get(digest)

    def why_dropped(self, digest: bytes) -> str | None:
        with self._lock:
            return self._dropped.get(digest)

    @property
    def size(self) -> int:
        """Bytes of all that wait."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._waiting)

    def _take(self, digest: bytes) -> None:
        self._bytes -= len(self._waiting.pop(digest, b""))
