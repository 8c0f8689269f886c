"""What must come after what: the graph of the values that were finally read, its longest path, and what follows for
any schedule.

A transaction depends on those whose writes it read in the execution that counts. Nothing else is a dependency:
multi-version memory keeps the older value for whoever still needs it, so a write waits neither for an earlier write
nor for an earlier read. Adds to a counter depend on others only where a bound was near; who reads the counter depends on all
that was added since it was last put. A transaction is one piece, which begins when all it depends on have ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection

import numpy as np

from ioi_exec.block.record import Record
from ioi_stress.tracing.timeline import Ints


@dataclass(frozen=True)
class Path:
    """transactions: one after another, each reading what the one before wrote. keys: index of the key between each and
    the next; one less. nanoseconds: of all of them."""

    nanoseconds: int
    transactions: list[int]
    keys: list[int]


@dataclass(frozen=True, eq=False)
class Dependencies:
    """work: nanoseconds by transaction, and 0 for each of the `sums` behind them: what many added, for those who read it.
    reader, writer, key: one entry a dependency; those of a writer stand before those on it."""

    work: Ints
    reader: Ints
    writer: Ints
    key: Ints
    sums: int = 0

    @classmethod
    def of(cls, record: Record, work: Ints) -> Dependencies:
        """Of a record whose transactions took `work` nanoseconds; end_block is left out."""
        n = record.transactions
        reads = record.reads[(record.reads["writer"] >= 0) & (record.reads["tx"] < n)]
        rows: list[tuple[int, int, int]] = reads[["tx", "writer", "key"]].tolist()
        sums = _sums(record, {(key, writer) for _, writer, key in rows})
        places = {place: n + number for number, place in enumerate(sums)}
        edges = [(2 * tx, tx, places.get((key, writer), writer), key) for tx, writer, key in rows]
        for (key, writer), parts in sums.items():
            edges += [(2 * writer + 1, places[key, writer], places.get((key, part), part), key) for part in parts[:-1]]
            edges.append((2 * writer + 1, places[key, writer], writer, key))
        edges.sort(key=lambda edge: edge[0])
        table = np.array(edges, np.int64).reshape(-1, 4)
        return cls(np.append(work[:n], np.zeros(len(sums), np.int64)), table[:, 1], table[:, 2], table[:, 3], len(sums))

    def critical_path(self, without: Collection[int] = ()) -> Path:
        """The longest chain, in O(transactions + dependencies), sums among them. without: keys whose dependencies are taken as if there
        were none."""
        work: list[int] = self.work.tolist()
        begin, before, via = [0] * len(work), [-1] * len(work), [-1] * len(work)
        ignored = set(without)
        for reader, writer, key in zip(self.reader.tolist(), self.writer.tolist(), self.key.tolist()):
            # All that the writer reads from stands earlier in the list, so its begin is known.
            ready = begin[writer] + work[writer]
            if (ready > begin[reader] or before[reader] < 0) and key not in ignored:
                begin[reader], before[reader], via[reader] = ready, writer, key
        if not work:
            return Path(0, [], [])
        last = int(np.argmax(np.array(begin) + self.work))  # the first: no sum
        path, keys, at, transactions = [last], [], last, len(work) - self.sums
        while before[at] >= 0:
            if at < transactions:
                keys.append(via[at])
            at = before[at]
            if at < transactions:
                path.append(at)
        return Path(begin[last] + work[last], path[::-1], keys[::-1])


def _sums(record: Record, needed: set[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """By key and last transaction that added: what else is in the sum, each part the writer of a put or an add, or the sum that
    ends with it. Only sums of several that somebody reads (`needed`); a part is in few of them."""
    counters = np.unique(record.writes["key"][record.writes["added"]])
    writes = record.writes[np.isin(record.writes["key"], counters)]
    parts: dict[int, list[int]] = {}
    found: dict[tuple[int, int], list[int]] = {}
    for tx, key, added in writes[["tx", "key", "added"]].tolist():
        mine = parts.setdefault(key, []) if added else []
        mine.append(tx)
        parts[key] = mine
        if added and (key, tx) in needed and len(mine) > 1:
            found[key, tx] = mine
            parts[key] = [tx]
    return found


@dataclass(frozen=True)
class Bound:
    """Speed-up over one after another on so many cores: no schedule is above `at_most`; one that knows the
    dependencies and leaves no core idle while a transaction could begin is not below `at_least` (Graham, 1966)."""

    cores: int
    at_least: float
    at_most: float


def bound(work: int, path: int, cores: int) -> Bound:
    """work, path: nanoseconds of all transactions and of those on the critical path."""
    if work <= 0:
        return Bound(cores, 1.0, 1.0)
    return Bound(cores, work / (path + (work - path) / cores), work / max(path, work / cores))
