"""What must come after what: the graph of the values that were finally read, its longest path, and what follows for
any schedule.

A transaction depends on those whose writes it read in the execution that counts. Nothing else is a dependency:
multi-version memory keeps the older value for whoever still needs it, so a write waits neither for an earlier write
nor for an earlier read. A transaction is one piece, which begins when all it depends on have ended.
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
    """work: nanoseconds by transaction. reader, writer, key: one entry a dependency, by reader; writer < reader."""

    work: Ints
    reader: Ints
    writer: Ints
    key: Ints

    @classmethod
    def of(cls, record: Record, work: Ints) -> Dependencies:
        """Of a record whose transactions took `work` nanoseconds; end_block is left out."""
        n = record.transactions
        reads = record.reads[(record.reads["writer"] >= 0) & (record.reads["tx"] < n)]
        reads = reads[np.argsort(reads["tx"], kind="stable")]
        return cls(work[:n], *(reads[name].astype(np.int64) for name in ("tx", "writer", "key")))

    def critical_path(self, without: Collection[int] = ()) -> Path:
        """The longest chain, in O(transactions + dependencies). without: keys whose dependencies are taken as if there
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
        last = int(np.argmax(np.array(begin) + self.work))
        path, keys, at = [last], [], last
        while before[at] >= 0:
            keys.append(via[at])
            at = before[at]
            path.append(at)
        return Path(begin[last] + work[last], path[::-1], keys[::-1])


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
