"""The timeline of a block as a still picture: a lane for each worker, the watermark above. timeline.js moves it, if it
may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ioi_stress.notation.text import counted
from ioi_stress.reporting.rendering import LINE, TICK, render
from ioi_stress.reporting.scale import Scale
from ioi_stress.tracing.looks import ARROWS, LOOKS, SINGLY
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.text import time_unit
from ioi_stress.tracing.timeline import CLASSES, Timeline
from ioi_stress.tracing.watermark import watermark

if TYPE_CHECKING:
    from markupsafe import Markup

_COLUMNS = 8_000  # of all lanes together, where pieces are merged
LETTER = 6.6


@dataclass(frozen=True)
class Layout:
    """Places in the picture, which the script takes over."""

    workers: int
    width: float = 1140.0
    left: float = 78.0
    right: float = 14.0
    water_top: float = 20.0
    water_bottom: float = 62.0
    top: float = 78.0

    @property
    def across(self) -> float:
        """How wide the lanes are."""
        return self.width - self.left - self.right

    @property
    def lane(self) -> float:
        return next((height for most, height in ((4, 44.0), (8, 34.0), (24, 22.0)) if self.workers <= most), 14.0)

    @property
    def bar(self) -> float:
        return 0.7 * self.lane

    @property
    def bottom(self) -> float:
        return self.top + self.lane * self.workers

    @property
    def height(self) -> float:
        return self.bottom + TICK + 2.4 * LINE + 6

    @property
    def named(self) -> int:
        """Every so many lanes there is room for a name."""
        return max(1, round(LINE / self.lane + 0.3))

    def middle(self, worker: int) -> float:
        return self.top + (worker + 0.55) * self.lane


def still(timeline: Timeline, segments: Segments, begin: int, end: int) -> Markup:
    """The figure of nanoseconds `begin` to `end`."""
    layout = Layout(timeline.record.workers)
    across = Scale(begin, end, layout.left, layout.width - layout.right)
    inside = (segments.end > begin) & (segments.start < end)
    singly = inside.sum() <= SINGLY
    unit, unit_name = time_unit(end)
    workers, transactions = counted(layout.workers, "worker"), counted(timeline.record.transactions, "transaction")
    marks = _aborts(timeline, across, layout)
    return render(
        "timeline.html",
        said=f"Timeline of a block: {transactions} on {workers}, {(end - begin) / 1e6:,.3f} ms",
        layout=layout,
        looks=list(LOOKS.values()),
        watermark=_watermark(timeline, across, layout),
        transactions=f"{timeline.record.transactions:,}",
        pieces=_singly(segments, inside, across, layout) if singly else _merged(segments, across, layout),
        names=_names(segments, inside, timeline, across, layout) if singly else [],
        solo=_solo(timeline, across, layout),
        aborts="".join(marks),
        arrows=_arrows(timeline, across, layout) if len(marks) <= ARROWS else [],
        across=across,
        ticks=[(tick * unit, f"{tick:g}") for tick in Scale(begin / unit, end / unit, 0, 1).ticks(10)],
        unit=unit_name,
        legend=_legend(segments, timeline),
    )


def _watermark(timeline: Timeline, across: Scale, layout: Layout) -> dict[str, str]:
    times, values = watermark(timeline)
    up = Scale(0, max(timeline.record.transactions, 1), layout.water_bottom, layout.water_top)
    steps, last = [f"M{layout.left:.1f} {layout.water_bottom:.1f}"], ""
    for time, value in zip(times.tolist(), values.tolist()):
        step = f"H{max(across.at(time), layout.left):.1f}V{up.at(value):.1f}"
        if step != last:
            steps.append(step)
        last = step
    line = "".join(steps) + f"H{across.end:.1f}"
    return {
        "top": f"M{layout.left:.1f} {layout.water_top:.1f}H{across.end:.1f}",
        "area": f"{line}V{layout.water_bottom:.1f}Z",
        "line": line,
    }


Pieces = list[tuple[str, str]]
"""(class, path) of each colour."""


def _singly(segments: Segments, inside: npt.NDArray[np.bool_], across: Scale, layout: Layout) -> Pieces:
    pieces = []
    for what, name in enumerate(CLASSES):
        chosen = np.flatnonzero(inside & (segments.what == what))
        look = LOOKS[name]
        if not look.height or not len(chosen):
            continue
        height, rects = layout.bar * look.height, []
        for worker, start, end in zip(
            segments.worker[chosen].tolist(), segments.start[chosen].tolist(), segments.end[chosen].tolist()
        ):
            x, y = across.at(start), layout.middle(worker) - height / 2
            width = max(across.at(end) - x, 0.3)
            rects.append(f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z")
        pieces.append((f"piece {look.style}", "".join(rects)))
    return pieces


def _names(
    segments: Segments, inside: npt.NDArray[np.bool_], timeline: Timeline, across: Scale, layout: Layout
) -> list[tuple[float, float, str, str]]:
    """(x, y, text, style) of transactions, each in the longest piece of its execution, where there is room."""
    found = []
    for piece in segments.longest(inside, segments.end - segments.start).tolist():
        x, end = across.at(segments.start[piece]), across.at(segments.end[piece])
        name = timeline.name(int(timeline.spans["tx"][segments.span[piece]]))
        if end - x > LETTER * (len(name) + 0.6):
            y = layout.middle(int(segments.worker[piece])) + LINE / 3
            found.append((float(x + end) / 2, y, name, LOOKS[CLASSES[segments.what[piece]]].style))
    return found


def _merged(segments: Segments, across: Scale, layout: Layout) -> Pieces:
    """The height of a colour in a column is its share of that time. Colours are drawn one over the other, the sum of
    all first."""
    columns = int(min(across.end - across.begin, max(_COLUMNS / layout.workers, 100)))
    shares = segments.shares(layout.workers, int(across.low), int(across.high), columns)
    edges = np.linspace(across.begin, across.end, columns + 1)
    shown = [index for index, name in enumerate(CLASSES) if LOOKS[name].height]
    pieces = []
    for place in range(len(shown) - 1, -1, -1):
        steps = []
        for worker in range(layout.workers):
            if not shares[worker, shown[place]].any():
                continue
            bottom = layout.middle(worker) + layout.bar / 2
            heights = np.round(layout.bar * shares[worker, shown[: place + 1]].sum(axis=0), 1)
            changes = np.flatnonzero(np.diff(heights, prepend=-1.0))
            steps.append(f"M{edges[0]:.1f} {bottom:.1f}")
            steps += [f"H{edges[column]:.1f}V{bottom - heights[column]:.1f}" for column in changes.tolist()]
            steps.append(f"H{edges[-1]:.1f}V{bottom:.1f}Z")
        if steps:
            pieces.append((f"share {LOOKS[CLASSES[shown[place]]].style}", "".join(steps)))
    return pieces


def _solo(timeline: Timeline, across: Scale, layout: Layout) -> str:
    """A line under what was done alone at the watermark."""
    return "".join(
        f"M{across.at(int(each['start'])):.1f} "
        f"{layout.middle(int(each['worker'])) + layout.bar / 2 + 2.5:.1f}H{across.at(int(each['end'])):.1f}"
        for each in timeline.alone
    )


def _aborts(timeline: Timeline, across: Scale, layout: Layout) -> list[str]:
    """A mark above the lane of who aborted."""
    return [
        f"M{across.at(int(abort['start'])):.1f} {layout.middle(int(abort['worker'])) - layout.bar / 2 - 1:.1f}l-2.5 -4.5h5z"
        for abort in timeline.aborts
    ]


def _arrows(timeline: Timeline, across: Scale, layout: Layout) -> list[str]:
    """From the write to the execution it ended."""
    found = []
    ends, workers = timeline.spans["end"].astype(np.int64).tolist(), timeline.spans["worker"].tolist()
    for writer, ended in zip(timeline.invalidated_by.tolist(), timeline.ended.tolist()):
        if writer >= 0 and ended >= 0:
            x, y = across.at(ends[writer]), layout.middle(workers[writer])
            to_x, to_y = across.at(ends[ended]), layout.middle(workers[ended])
            down = layout.bar * 0.35 * (1 if to_y > y else -1)
            bend = 12 if to_y != y else -layout.bar
            y, to_y = (y + down, to_y - down) if to_y != y else (y + down, to_y + down)
            found.append(
                f"M{x:.1f} {y:.1f}Q{(x + to_x) / 2 + (bend if bend > 0 else 0):.1f} "
                f"{(y + to_y) / 2 + (bend if bend < 0 else 0):.1f} {to_x:.1f} {to_y:.1f}"
            )
    return found


def _legend(segments: Segments, timeline: Timeline) -> list[tuple[str, str]]:
    """(text, class of a patch, or which other mark it is)."""
    there = set(segments.what.tolist())
    entries = [
        (name, LOOKS[name].style) for index, name in enumerate(CLASSES) if index in there and LOOKS[name].height
    ]
    entries.append(("idle or scheduling", "ground idle"))
    if len(timeline.alone):
        entries.append(("one worker alone", "solo"))
    if len(timeline.aborts):
        entries += [("abort", "abort"), ("from the write that ended an execution", "arrow")]
    return entries
