"""What was recorded of the last blocks: which worker executed what when, and what each transaction read and wrote."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Sequence

import numpy as np
import numpy.typing as npt

from ioi_exec.block.measured import RecordRows
from ioi_exec.block.record import EVENT, READ, WRITE, EventKind, Record
from ioi_exec.block.result import BlockResult, Stats

BLOCKS = 16
BYTES_MOST = 128 << 20  # of all that is kept; the newest block is kept whatever it has
EVENTS_MOST = 100_000  # of one answer, some 70 bytes of JSON each
ACCESSES_MOST = 2_000  # the same, some 600 bytes each at most

_CAUSED = (EventKind.VALIDATE, EventKind.ABORT, EventKind.SUSPEND, EventKind.FETCH)


@dataclass(frozen=True)
class Recording:
    """One block's. rows: None where no worker processes executed it. alone: u64 nanoseconds of each transaction then. hashes: SHA-256 of each."""

    height: int
    transactions: int
    stats: Stats
    rows: RecordRows | None
    alone: bytes
    hashes: bytes

    @classmethod
    def of(cls, height: int, result: BlockResult) -> Recording:
        hashes = b"".join(sha256(tx).digest() for tx in result.txs)
        return cls(height, result.transactions, result.stats, result.recorded, result.measured.alone, hashes)

    @property
    def size(self) -> int:
        rows = () if self.rows is None else self.rows.rows
        return sum(map(len, rows)) + len(self.alone) + len(self.hashes)

    def lanes(self) -> dict[str, Any]:
        """What the page draws: columns of events (ioi_exec.block.record.EVENT) by start, the first EVENTS_MOST of them, and the keys that they
        name, as hex by their index. events: None where nothing is known, and `why`."""
        events, keys, workers, why = self._events()
        answer = {
            "height": self.height, "transactions": self.transactions, "stats": self.stats.to_json(), "workers": workers, "why": why,
            "events": None, "keys": {}, "left_out": 0,
        }
        if events is not None:
            shown = events[:EVENTS_MOST]
            caused = shown["key"][np.isin(shown["kind"], [int(kind) for kind in _CAUSED]) & (shown["key"] >= 0)]
            answer["keys"] = {str(index): keys[index].hex() for index in np.unique(caused).tolist()}
            answer["left_out"] = len(events) - len(shown)
            answer["events"] = {name: shown[name].tolist() for name in EVENT.names or ()}
        return answer

    def accesses(self, index: int) -> dict[str, Any] | None:
        """What the transaction read and wrote, by key: at most ACCESSES_MOST of each, and how many there are. The one after the last is
        `end_block`. None: there is no such transaction."""
        if not 0 <= index <= self.transactions:
            return None
        hash = self.hashes[32 * index : 32 * index + 32].hex() or None
        answer: dict[str, Any] = {"height": self.height, "index": index, "hash": hash, "reads": [], "writes": [], "reads_total": 0, "writes_total": 0}
        if self.rows is None:
            return {**answer, "why": _NOT_BY_WORKERS}
        keys = _Keys(self.rows)
        for name, rows in (("reads", np.frombuffer(self.rows.rows[1], READ)), ("writes", np.frombuffer(self.rows.rows[2], WRITE))):
            first, end = np.searchsorted(rows["tx"], [index, index + 1]).tolist()
            answer[f"{name}_total"] = end - first
            for row in rows[first : min(end, first + ACCESSES_MOST)]:
                access: dict[str, Any] = {"key": keys[row["key"]].hex(), "added": bool(row["added"])}
                if name == "reads":
                    access["writer"] = int(row["writer"]) if row["writer"] >= 0 else None
                else:
                    access["deleted"] = bool(row["deleted"])
                answer[name].append(access)
        return {**answer, "why": ""}

    def writers(self, key: bytes) -> list[int] | None:
        """Which transactions wrote the key, in their order, `end_block` the one after the last. None: it was not recorded."""
        if self.rows is None:
            return None
        keys, writes = _Keys(self.rows), np.frombuffer(self.rows.rows[2], WRITE)
        at = bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            return []
        found: list[int] = writes["tx"][writes["key"] == at].tolist()
        return found

    def _events(self) -> tuple[npt.NDArray[np.void] | None, list[bytes], int, str]:
        if self.rows is not None:
            record = Record.of(*self.rows)
            return record.events, record.keys, record.workers, ""
        if not self.alone:
            return None, [], 0, _NOT_BY_WORKERS
        ends = np.cumsum(np.frombuffer(self.alone, "<u8"))
        events = np.zeros(len(ends), EVENT)
        events["start"][1:], events["end"] = ends[:-1], ends
        events["tx"], events["other"], events["key"], events["kind"], events["result"] = np.arange(len(ends)), -1, -1, EventKind.EXECUTE, 1
        return events, [], 1, _IN_PROCESS


_NOT_BY_WORKERS = "The block was executed without worker processes, of which alone this can be recorded."
_IN_PROCESS = "The block was executed one by one, in the node's own process: what each transaction took is known, and nothing of what was between them."


class _Keys(Sequence[bytes]):
    """Of a record, ascending, without making a list of them."""

    def __init__(self, rows: RecordRows) -> None:
        self._bytes, self._ends = rows.rows[3], np.frombuffer(rows.rows[4], "<u8")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        return self._bytes[int(self._ends[index - 1]) if index else 0 : int(self._ends[index])]


class Recordings:
    """Of the newest blocks, in memory alone. For any thread."""

    def __init__(self, blocks: int = BLOCKS) -> None:
        """blocks: how many are kept, if they have no more than BYTES_MOST together."""
        self._most = blocks
        self._lock = threading.Lock()
        self._kept: dict[int, Recording] = {}  # by height, ascending

    def record(self, height: int, result: BlockResult) -> None:
        """The block of this height was committed."""
        made = Recording.of(height, result)
        with self._lock:
            self._go_back(height - 1)
            self._kept[height] = made
            total = sum(kept.size for kept in self._kept.values())
            while len(self._kept) > 1 and (len(self._kept) > self._most or total > BYTES_MOST):
                total -= self._kept.pop(next(iter(self._kept))).size

    def reverted(self, height: int) -> None:
        """The chain is back at this height."""
        with self._lock:
            self._go_back(height)

    def at(self, height: int) -> Recording | None:
        with self._lock:
            return self._kept.get(height)

    def newest(self) -> Recording | None:
        with self._lock:
            return next(reversed(self._kept.values()), None)

    def _go_back(self, height: int) -> None:
        while self._kept and next(reversed(self._kept)) > height:
            self._kept.popitem()
