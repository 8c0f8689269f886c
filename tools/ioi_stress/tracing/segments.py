"""Lanes cut into pieces that do not overlap, and the share of each class in equal parts of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ioi_stress.tracing.timeline import CLASSES, EXECUTIONS, OTHER, WAKING, Ints, Timeline

_OTHER = CLASSES.index(OTHER)


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of all lanes by worker and time: what the worker did then (index into CLASSES), as the innermost span
    tells, and the index of that span; -1 while it was waking. What is not in any was `OTHER`."""

    worker: Ints
    start: Ints
    end: Ints
    what: Ints
    span: Ints

    @classmethod
    def of(cls, timeline: Timeline) -> Segments:
        spans = timeline.spans
        rows: list[tuple[int, int, int, int]] = []
        around: list[tuple[int, int]] = []  # end and index of the spans that are open
        lane, at = -1, 0

        def close(until: int) -> None:
            nonlocal at
            while around and around[-1][0] <= until:
                end, index = around.pop()
                if end > at:
                    rows.append((lane, at, end, index))
                at = max(at, end)

        for index, (worker, start, end) in enumerate(
            zip(spans["worker"].tolist(), spans["start"].tolist(), spans["end"].tolist())
        ):
            if worker != lane:
                close(1 << 63)
                lane, at = worker, 0
            close(start)
            if around and start > at:
                rows.append((lane, at, start, around[-1][1]))
            at = max(at, start)
            around.append((end, index))
        close(1 << 63)
        rows.extend((worker, 0, first, -1) for worker, first in enumerate(timeline.first.tolist()) if first > 0)
        found = np.array(rows, np.int64).reshape(-1, 4)
        found = found[np.lexsort((found[:, 1], found[:, 0]))]
        what = np.append(timeline.what, CLASSES.index(WAKING))[found[:, 3]]
        found, what = found[what != _OTHER], what[what != _OTHER]
        return cls(found[:, 0], found[:, 1], found[:, 2], what, found[:, 3])

    def longest(self, inside: npt.NDArray[np.bool_], shown: Ints) -> Ints:
        """Of every execution the piece in which its number has most room, of those that are `inside`. shown: how much is
        seen of each piece."""
        executed = np.flatnonzero(inside & np.isin(self.what, [CLASSES.index(name) for name in EXECUTIONS]))
        order = executed[np.argsort(-shown[executed], kind="stable")]
        _, first = np.unique(self.span[order], return_index=True)
        longest: Ints = order[first]
        return longest

    def shares(self, workers: int, begin: int, end: int, columns: int) -> npt.NDArray[np.float64]:
        """(worker, class, column): the share of its time, of `columns` equal parts of [begin, end); the classes add up
        to 1."""
        edges = np.linspace(begin, end, columns + 1)
        found = np.zeros((workers, len(CLASSES), columns))
        for worker in range(workers):
            for what in range(len(CLASSES)):
                chosen = (self.worker == worker) & (self.what == what)
                if chosen.any():
                    found[worker, what] = np.diff(_covered(self.start[chosen], self.end[chosen], edges)) / np.diff(
                        edges
                    )
        found[:, _OTHER] = np.clip(1 - found.sum(axis=1), 0, 1)
        return found


def _covered(start: Ints, end: Ints, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How much of the time up to each edge lies in the pieces, which are in order and apart from each other."""
    before = np.concatenate(([0], np.cumsum(end - start)))
    last = np.searchsorted(start, edges, side="right") - 1
    inside = np.clip(edges - start[last], 0, (end - start)[last])
    covered: npt.NDArray[np.float64] = np.where(last >= 0, before[np.maximum(last, 0)] + inside, 0.0)
    return covered
