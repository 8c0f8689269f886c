"""The timeline of a block as a still picture: a lane for each worker, the watermark above. timeline.js moves it, if it
may."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ioi_exec.block.record import EventKind
from ioi_stress.report.chart import LINE, TICK, label, legend, patch, svg, x_axis
from ioi_stress.report.markup import Markup, joined, tag
from ioi_stress.report.scale import Scale
from ioi_stress.text import counted
from ioi_stress.trace.segments import Segments
from ioi_stress.trace.text import time_unit
from ioi_stress.trace.timeline import (
    ABORTED,
    AGAIN,
    CLASSES,
    CUT,
    EXECUTIONS,
    FETCHING,
    FIRST,
    IDLE,
    OTHER,
    VALIDATING,
    WAITING,
    WAKING,
    Timeline,
)
from ioi_stress.trace.watermark import watermark

STYLES = {
    FIRST: "first",
    AGAIN: "again",
    ABORTED: "aborted",
    CUT: "cut",
    VALIDATING: "validating",
    FETCHING: "fetching",
    WAITING: "waiting",
    IDLE: "idle",
    WAKING: "waking",
    OTHER: "other",
}
"""The class of each colour in page.css."""
BLANK = (IDLE, WAKING, OTHER)
"""Nothing is drawn for these: the ground of the lane is seen."""
HEIGHTS = {name: 1.0 if name in EXECUTIONS else 0.8 if name == WAITING else 0.55 for name in CLASSES}
"""Of the lane's bar."""
_SINGLY = 1_200  # pieces: more are merged
_ARROWS = 200
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

    def middle(self, worker: int) -> float:
        return self.top + (worker + 0.55) * self.lane


def still(timeline: Timeline, segments: Segments, begin: int, end: int) -> tuple[Markup, Markup]:
    """(picture, legend) of nanoseconds `begin` to `end`."""
    layout = Layout(timeline.record.workers)
    across = Scale(begin, end, layout.left, layout.width - layout.right)
    inside = (segments.end > begin) & (segments.start < end)
    drawn = (
        _singly(segments, inside, timeline, across, layout)
        if inside.sum() <= _SINGLY
        else _merged(segments, across, layout)
    )
    unit, unit_name = time_unit(end)
    ticks = [(tick * unit, f"{tick:g}") for tick in Scale(begin / unit, end / unit, 0, 1).ticks(10)]
    workers, transactions = counted(layout.workers, "worker"), counted(timeline.record.transactions, "transaction")
    what = f"{transactions} on {workers}, {(end - begin) / 1e6:,.3f} ms"
    picture = svg(
        layout.width,
        layout.height,
        f"Timeline of a block: {what}",
        _definitions(layout),
        tag("g", _names(layout), id="timeline-names"),
        tag("g", _watermark(timeline, across, layout), id="timeline-watermark"),
        tag("g", drawn, id="timeline-lanes", clip_path="url(#timeline-clip)"),
        tag(
            "g",
            _solo(timeline, across, layout),
            _aborts(timeline, across, layout),
            id="timeline-marks",
            clip_path="url(#timeline-clip)",
        ),
        tag("g", x_axis(across, layout.bottom, ticks, f"time since the block began ({unit_name})"), id="timeline-axis"),
        id="timeline",
        tabindex="0",
    )
    return picture, _legend(segments, timeline)


def _definitions(layout: Layout) -> Markup:
    def hatch(identity: str, path: str, class_: str) -> Markup:
        ground = tag("rect", width=6, height=6, class_=f"{class_} ground")
        return tag(
            "pattern",
            ground,
            tag("path", d=path, class_=f"{class_} hatch"),
            id=identity,
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )

    clip = tag(
        "rect",
        x=layout.left,
        y=0.0,
        width=layout.width - layout.left - layout.right,
        height=layout.bottom + 2,
        id="timeline-window",
    )
    arrow = tag(
        "marker",
        tag("path", d="M0 0L7 3L0 6z", class_="arrowhead"),
        id="timeline-arrow",
        markerWidth=7,
        markerHeight=6,
        refX=6,
        refY=3,
        orient="auto",
    )
    return tag(
        "defs",
        tag("clipPath", clip, id="timeline-clip"),
        arrow,
        hatch("hatch-waiting", "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", "waiting"),
        hatch("hatch-cut", "M0 0L6 6M6 0L0 6", "cut"),
    )


def _names(layout: Layout) -> list[Markup]:
    every = max(1, round(LINE / layout.lane + 0.3))
    parts = [
        label(layout.left - 8, layout.water_bottom - 14, "final", anchor="end"),
        label(layout.left - 8, layout.water_bottom - 2, "transactions", anchor="end"),
    ]
    for worker in range(layout.workers):
        y = layout.middle(worker)
        if worker % every == 0:
            parts.append(label(layout.left - 8, y + LINE / 3, f"worker {worker}", anchor="end"))
        parts.append(
            tag(
                "rect",
                x=layout.left,
                y=y - layout.bar / 2,
                width=layout.width - layout.left - layout.right,
                height=layout.bar,
                class_="ground idle",
            )
        )
    return parts


def _watermark(timeline: Timeline, across: Scale, layout: Layout) -> list[Markup]:
    times, values = watermark(timeline)
    up = Scale(0, max(timeline.record.transactions, 1), layout.water_bottom, layout.water_top)
    steps, last = [f"M{layout.left:.1f} {layout.water_bottom:.1f}"], ""
    for time, value in zip(times.tolist(), values.tolist()):
        step = f"H{max(across.at(time), layout.left):.1f}V{up.at(value):.1f}"
        if step != last:
            steps.append(step)
        last = step
    path = "".join(steps) + f"H{across.end:.1f}"
    top = tag("path", d=f"M{layout.left:.1f} {layout.water_top:.1f}H{across.end:.1f}", class_="grid")
    return [
        top,
        label(across.end, layout.water_top - 5, f"{timeline.record.transactions:,}", anchor="end"),
        tag("path", d=f"{path}V{layout.water_bottom:.1f}Z", class_="water"),
        tag("path", d=path, class_="watermark"),
    ]


def _singly(segments: Segments, inside: np.ndarray, timeline: Timeline, across: Scale, layout: Layout) -> list[Markup]:
    parts = []
    for what, name in enumerate(CLASSES):
        chosen = np.flatnonzero(inside & (segments.what == what))
        if name in BLANK or not len(chosen):
            continue
        height, rects = layout.bar * HEIGHTS[name], []
        for worker, start, end in zip(
            segments.worker[chosen].tolist(), segments.start[chosen].tolist(), segments.end[chosen].tolist()
        ):
            x, y = across.at(start), layout.middle(worker) - height / 2
            width = max(across.at(end) - x, 0.3)
            rects.append(f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z")
        parts.append(tag("path", d="".join(rects), class_=f"piece {STYLES[name]}"))
    longest: dict[int, tuple[float, float]] = {}  # of every execution: its longest piece
    executed = inside & np.isin(segments.what, [CLASSES.index(name) for name in EXECUTIONS])
    for piece in np.flatnonzero(executed).tolist():
        x, width = across.at(segments.start[piece]), across.at(segments.end[piece]) - across.at(segments.start[piece])
        span = int(segments.span[piece])
        if width > longest.get(span, (0.0, 0.0))[1]:
            longest[span] = x, width
    for span, (x, width) in longest.items():
        name = timeline.name(int(timeline.spans["tx"][span]))
        if width > LETTER * (len(name) + 0.6):
            y = layout.middle(int(timeline.spans["worker"][span])) + LINE / 3
            parts.append(label(x + width / 2, y, name, f"inside {STYLES[CLASSES[timeline.what[span]]]}"))
    return parts


def _merged(segments: Segments, across: Scale, layout: Layout) -> list[Markup]:
    """The height of a colour in a column is its share of that time. Colours are drawn one over the other, the sum of
    all first."""
    columns = int(min(across.end - across.begin, max(_COLUMNS / layout.workers, 100)))
    shares = segments.shares(layout.workers, int(across.low), int(across.high), columns)
    edges = np.linspace(across.begin, across.end, columns + 1)
    shown = [index for index, name in enumerate(CLASSES) if name not in BLANK]
    parts = []
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
            parts.append(tag("path", d="".join(steps), class_=f"share {STYLES[CLASSES[shown[place]]]}"))
    return parts


def _solo(timeline: Timeline, across: Scale, layout: Layout) -> list[Markup]:
    """A line under what was done alone at the watermark."""
    alone = timeline.spans[timeline.spans["kind"] == EventKind.SOLO]
    lines = [
        f"M{across.at(int(each['start'])):.1f} "
        f"{layout.middle(int(each['worker'])) + layout.bar / 2 + 2.5:.1f}H{across.at(int(each['end'])):.1f}"
        for each in alone
    ]
    return [tag("path", d="".join(lines), class_="solo")] if lines else []


def _aborts(timeline: Timeline, across: Scale, layout: Layout) -> list[Markup]:
    """A mark above the lane of who aborted, and arrows, unless there are too many, from the write to the execution it
    ended."""
    marks = []
    for abort in timeline.aborts:
        x, y = across.at(int(abort["start"])), layout.middle(int(abort["worker"])) - layout.bar / 2 - 1
        marks.append(f"M{x:.1f} {y:.1f}l-2.5 -4.5h5z")
    if not marks:
        return []
    parts = [tag("path", d="".join(marks), class_="abort")]
    if len(marks) <= _ARROWS:
        parts += [
            tag("path", d=arrow, class_="arrow", marker_end="url(#timeline-arrow)")
            for arrow in _arrows(timeline, across, layout)
        ]
    return parts


def _arrows(timeline: Timeline, across: Scale, layout: Layout) -> list[str]:
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


def _legend(segments: Segments, timeline: Timeline) -> Markup:
    there = set(segments.what.tolist())
    entries = [
        (name, patch(STYLES[name])) for index, name in enumerate(CLASSES) if index in there and name not in BLANK
    ]
    entries.append(("idle or scheduling", patch("ground idle")))
    if (timeline.spans["kind"] == EventKind.SOLO).any():
        entries.append(("one worker alone", tag("path", d="M2 6H22", class_="solo")))
    if len(timeline.aborts):
        entries.append(("abort", tag("path", d="M12 9l-3 -6h6z", class_="abort")))
        arrow = joined(
            [tag("path", d="M2 9Q10 2 20 5", class_="arrow"), tag("path", d="M22 6l-5 1l2 -4z", class_="arrowhead")]
        )
        entries.append(("from the write that ended an execution", arrow))
    return legend(entries)
