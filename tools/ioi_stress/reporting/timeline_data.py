"""What timeline.js draws from when it zooms: every piece of every lane, as small as JSON can have it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ioi_stress.reporting.lanes import LETTER, Layout
from ioi_stress.tracing.looks import ARROWS, LOOKS
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.timeline import CLASSES, IDLE, WAKING, Ints, Timeline
from ioi_stress.tracing.watermark import watermark
from ioi_stress.tracing.window import UNITS

PIECES = 50_000
"""In one page. In blocks with more, short ones that follow each other are merged by what they are."""
ABORTS = 5_000
_SAMPLES = 3_000  # of the watermark
_KEY_WIDTH = 80


def timeline_data(timeline: Timeline, segments: Segments, begin: int, end: int, pieces: int = PIECES) -> dict[str, Any]:
    """lanes: for each worker, of each piece one after the other: nanoseconds since the end of the one before, how long,
    code, tx. code: index into `classes` + 16 * incarnation; of a merged one -(that index + 16 * how many) - 1, and tx
    is its first. causes: by lane, of pieces that another transaction or a key has to do with: index of the piece, key,
    other, its incarnation. merged: below how many nanoseconds pieces were merged; 0: none was. aborts: time, worker,
    tx, incarnation, key, other, its incarnation, then time and worker where its arrow begins and ends (-1: no arrow).
    keys: names, those that are mentioned."""
    layout, keys = Layout(timeline.record.workers), _Keys(timeline)
    kept = segments.what != CLASSES.index(WAKING)
    rows = np.stack(
        [each[kept] for each in (segments.worker, segments.start, segments.end, segments.what, segments.span)], axis=1
    )
    counts = np.ones(len(rows), np.int64)
    below = 0
    if len(rows) > pieces:
        # A merged stretch leaves a piece for each class in it, of which there are hardly more than four.
        below = max(4 * layout.workers * (end - begin) // pieces, 1)
        rows, counts = _merged(rows, below)
    about = {name: timeline.spans[name].tolist() for name in ("tx", "incarnation", "key", "other", "other_incarnation")}
    lanes, causes = [], []
    for worker in range(layout.workers):
        chosen = rows[:, 0] == worker
        lane, cause = _lane(about, rows[chosen], counts[chosen], keys)
        lanes.append(lane)
        causes.append(cause)
    times, values = watermark(timeline)
    step = -(-len(times) // _SAMPLES)
    times, values = (np.append(each[:-1:step], each[-1]) for each in (times, values))
    return {
        "begin": begin,
        "end": end,
        "workers": layout.workers,
        "transactions": timeline.record.transactions,
        "layout": {
            **asdict(layout),
            "lane": layout.lane,
            "bar": layout.bar,
            "bottom": layout.bottom,
            "height": layout.height,
            "first": layout.middle(0),
            "letter": LETTER,
            "arrows": ARROWS,
        },
        "units": [[factor, name] for name, factor in UNITS.items()],
        "classes": [[name, LOOKS[name].style, LOOKS[name].height] for name in CLASSES],
        "merged": below,
        "lanes": lanes,
        "causes": causes,
        "water": [np.diff(times, prepend=0).tolist(), np.diff(values, prepend=0).tolist()],
        "solo": [[int(each[name]) for name in ("worker", "start", "end")] for each in timeline.alone],
        "aborts": _aborts(timeline, keys),
        "abortsLeftOut": max(len(timeline.aborts) - ABORTS, 0),
        "keys": keys.names,
    }


class _Keys:
    """Numbers for the keys that are mentioned, in the order in which they are."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._numbers: dict[int, int] = {}

    def number(self, key: int) -> int:
        return -1 if key < 0 else self._numbers.setdefault(key, len(self._numbers))

    @property
    def names(self) -> list[str]:
        return [self._timeline.namer(self._timeline.record.keys[key], _KEY_WIDTH) for key in self._numbers]


def _lane(about: dict[str, list[int]], rows: Ints, counts: Ints, keys: _Keys) -> tuple[list[int], list[int]]:
    lane: list[int] = []
    causes: list[int] = []
    at = 0
    for piece, ((_, start, end, what, span), count) in enumerate(zip(rows.tolist(), counts.tolist())):
        code = what + 16 * about["incarnation"][span] if count == 1 else -(what + 16 * count) - 1
        lane += [start - at, end - start, code, about["tx"][span] if CLASSES[what] != IDLE else -1]
        at = end
        key, other = about["key"][span], about["other"][span]
        if count == 1 and (key >= 0 or other >= 0):
            causes += [piece, keys.number(key), other, about["other_incarnation"][span]]
    return lane, causes


def _merged(rows: Ints, below: int) -> tuple[Ints, Ints]:
    """Pieces shorter than that which begin in the same stretch of that length, in one piece for each class, side by
    side: what they take together is right, their order within the stretch is lost."""
    worker, start, end, what, _ = rows.T
    short = end - start < below
    stretch = np.where(short, start // below, -1 - np.arange(len(rows)))  # of the others: each its own
    first = np.concatenate(([True], (np.diff(worker) != 0) | (np.diff(stretch) != 0)))
    group = np.cumsum(first) - 1
    _, leader, place, counts = np.unique(group * 16 + what, return_index=True, return_inverse=True, return_counts=True)
    merged = rows[leader].copy()
    length = np.bincount(place, end - start).astype(np.int64)
    before = np.cumsum(length) - length
    own = group[leader]
    heads = np.concatenate(([True], np.diff(own) != 0))
    begins = start[first][own]  # of the group
    merged[:, 1] = begins + before - before[heads][np.cumsum(heads) - 1]
    merged[:, 2] = merged[:, 1] + length
    return merged, counts


def _aborts(timeline: Timeline, keys: _Keys) -> list[list[int]]:
    spans, found = timeline.spans, []
    for number, abort in enumerate(timeline.aborts[:ABORTS]):
        row = [int(abort[name]) for name in ("start", "worker", "tx", "incarnation")]
        row += [keys.number(int(abort["key"])), int(abort["other"]), int(abort["other_incarnation"])]
        writer, ended = int(timeline.invalidated_by[number]), int(timeline.ended[number])
        if writer < 0 or ended < 0:
            row += [-1, -1, -1, -1]
        else:
            row += [int(spans[name][each]) for each in (writer, ended) for name in ("end", "worker")]
        found.append(row)
    return found
