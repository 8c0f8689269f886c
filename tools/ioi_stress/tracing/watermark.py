"""What is one number at any time: how far the block is final, and how many workers execute."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ioi_exec.block.record import EventKind
from ioi_stress.tracing.timeline import Ints, Timeline

SAMPLES = 4_000
"""Of a number that changes more often, the mean over so many equal parts of the block is given instead of every
change."""


def watermark(timeline: Timeline) -> tuple[Ints, Ints]:
    """Times in nanoseconds, and the number of transactions that are final from then on."""
    times = np.concatenate(([0], timeline.commits["start"].astype(np.int64)))
    return times, np.maximum.accumulate(np.concatenate(([0], timeline.commits["tx"].astype(np.int64))))


def executing(timeline: Timeline, samples: int = SAMPLES) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Times in nanoseconds, and the number of workers that execute a transaction from then on, not counting those that
    wait in one or whose core another program has."""
    spans, kind = timeline.spans, timeline.spans["kind"]
    waiting = np.isin(kind, (EventKind.SUSPEND, EventKind.PREEMPTED)) & _within(timeline)
    parts = []
    for chosen, step in ((kind == EventKind.EXECUTE, 1), (waiting, -1)):
        for field, sign in (("start", step), ("end", -step)):
            parts.append(np.stack((spans[field][chosen].astype(np.int64), np.full(chosen.sum(), sign, np.int64))))
    times, steps = np.concatenate([np.array([[0], [0]], np.int64), *parts], axis=1)
    at, place = np.unique(times, return_inverse=True)
    values = np.cumsum(np.bincount(place, steps)).astype(np.float64)
    if len(at) <= samples:
        changed = np.concatenate(([True], np.diff(values) != 0))
        return at[changed], values[changed]
    return _means(at, values, max(timeline.duration, 1), samples)


def _within(timeline: Timeline) -> npt.NDArray[np.bool_]:
    """By span: whether it lies in an execution, and in no wait there."""
    kind, parent = timeline.spans["kind"], timeline.parent
    within = np.zeros(len(kind) + 1, np.bool_)  # the last is for -1
    for index, (what, around) in enumerate(zip(kind.tolist(), parent.tolist())):  # what is around stands before
        opened = what == EventKind.EXECUTE or (around >= 0 and within[around])
        within[index] = opened and what != EventKind.SUSPEND
    return within[parent]


def _means(at: Ints, values: npt.NDArray[np.float64], end: int, samples: int) -> tuple[Ints, npt.NDArray[np.float64]]:
    """The mean of a step function over equal parts of [0, end)."""
    edges = np.unique(np.linspace(0, end, samples + 1).astype(np.int64))
    area = np.concatenate(([0.0], np.cumsum(values[:-1] * np.diff(at))))  # up to each change
    last = np.searchsorted(at, edges, side="right") - 1
    up_to = area[last] + values[last] * (edges - at[last])
    return edges[:-1], np.round(np.diff(up_to) / np.diff(edges), 3)
