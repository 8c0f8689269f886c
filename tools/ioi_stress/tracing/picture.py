"""A timeline drawn: a lane per worker, the watermark above, arrows from the write that invalidated to the execution it
ended.

What is too much to be drawn one by one is merged: then a column of a lane shows which part of its time went into what.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ioi_exec import InputError
from ioi_stress.tracing.looks import ARROWS, LOOKS, MARK, SINGLY, Look
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.text import time_unit
from ioi_stress.tracing.timeline import CLASSES, WAKING, Timeline
from ioi_stress.tracing.watermark import watermark

SUFFIXES = (".png", ".svg", ".pdf")
_INK = "#333333"
_COLUMNS = 1_400
_BAR = 0.72  # of a lane's height


def write_picture(timeline: Timeline, path: str | Path, begin: int, end: int, title: str) -> None:
    """Draw what happened from nanosecond `begin` to `end` into a PNG, SVG or PDF file.

    Raises InputError for another kind of file, or without matplotlib."""
    check_picture(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    workers = timeline.record.workers
    with rc_context({"font.size": 8.5, "svg.hashsalt": "ioi-stress", "hatch.linewidth": 0.5, "svg.fonttype": "none"}):
        lanes = min(max(0.62 * workers, 1.2), 14.0)
        figure = Figure(figsize=(13, lanes + 2.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[0.9, lanes])
        drawing = _Drawing(timeline, begin, end, above, below)
        drawing.watermark()
        notes = drawing.lanes()
        drawing.axes()
        above.set_title(title, loc="left", fontsize=10.5)
        drawing.legend(figure)
        figure.supxlabel("; ".join(notes), x=0.01, ha="left", fontsize=7.5, color="#666666")
        # The same record makes the same file: no date in it.
        figure.savefig(
            path,
            dpi=150,
            metadata={".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(Path(path).suffix.lower()),
        )


def check_picture(path: str | Path) -> None:
    """Raises InputError if no picture can be written there: before the work, not after it."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a picture is {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}: name the file so")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError("pictures need matplotlib: pip install 'ioi-exec[stress]'") from None


def _hatch(look: Look) -> str | None:
    return look.hatch.matplotlib if look.hatch else None


def _edge(look: Look) -> str:
    """What matplotlib draws a hatch with, too."""
    return look.hatch.lines.light if look.hatch else "white"


class _Drawing:
    def __init__(self, timeline: Timeline, begin: int, end: int, above: Any, below: Any) -> None:
        self._timeline, self._begin, self._end = timeline, begin, end
        self._above, self._below = above, below
        self._unit, self._unit_name = time_unit(end)
        self._shown: set[str] = set()
        self._marks: set[str] = set()

    def watermark(self) -> None:
        times, values = watermark(self._timeline)
        inside = slice(
            max(np.searchsorted(times, self._begin, side="right") - 1, 0),
            np.searchsorted(times, self._end, side="right"),
        )
        at = np.append(np.maximum(times[inside], self._begin), self._end) / self._unit
        self._above.step(at, np.append(values[inside], values[inside][-1]), where="post", color=_INK, linewidth=1.2)
        self._above.fill_between(
            at, np.append(values[inside], values[inside][-1]), step="post", color="#e9eef3", linewidth=0
        )
        self._above.set_ylabel("final\ntransactions", rotation=0, ha="right", va="center")
        self._above.margins(y=0.08)

    def lanes(self) -> list[str]:
        """Returns what a reader must know about how they are drawn."""
        segments = Segments.of(self._timeline)
        inside = (segments.end > self._begin) & (segments.start < self._end)
        notes = []
        if inside.sum() <= SINGLY:
            self._singly(segments, inside)
        else:
            self._merged(segments)
            notes.append(
                f"{int(inside.sum()):,} pieces are too many to be drawn one by one: the height of a colour is its "
                "share of the time "
                "in that column; --from and --to show a part"
            )
        self._solo()
        return notes + self._aborts()

    def _solo(self) -> None:
        """A line under what was done alone at the watermark."""
        alone = self._timeline.alone
        alone = alone[(alone["start"] < self._end) & (alone["end"] > self._begin)]
        if len(alone):
            self._marks.add("solo")
            at = alone["worker"] + _BAR / 2 + 0.06
            self._below.hlines(at, alone["start"] / self._unit, alone["end"] / self._unit, color=_INK, linewidth=2.0)

    def _singly(self, segments: Segments, inside: Any) -> None:
        from matplotlib.collections import PolyCollection

        for what, name in enumerate(CLASSES):
            chosen = inside & (segments.what == what)
            if not chosen.any() or not LOOKS[name].height:
                continue
            self._shown.add(name)
            look, height = LOOKS[name], _BAR * LOOKS[name].height
            wide = (
                segments.end - segments.start > (self._end - self._begin) / 300
            )  # an edge would hide what is narrower
            for some, edge in (
                (chosen & wide, _edge(look)),
                (chosen & ~wide, look.ground.light),
            ):
                left, right = segments.start[some] / self._unit, segments.end[some] / self._unit
                top, bottom = segments.worker[some] - height / 2, segments.worker[some] + height / 2
                corners = np.stack((left, top, left, bottom, right, bottom, right, top), axis=1).reshape(-1, 4, 2)
                self._below.add_collection(
                    PolyCollection(
                        list(corners), facecolor=look.ground.light, hatch=_hatch(look), linewidth=0.5, edgecolor=edge
                    )
                )
        self._names(segments, inside)

    def _names(self, segments: Segments, inside: Any) -> None:
        """Numbers of transactions, each in the longest piece of its execution, where there is room."""
        first, last = np.maximum(segments.start, self._begin), np.minimum(segments.end, self._end)
        for piece in segments.longest(inside, last - first).tolist():
            tx = int(self._timeline.spans["tx"][segments.span[piece]])
            name = "end" if tx == self._timeline.record.transactions else str(tx)
            if (last[piece] - first[piece]) * 150 > (self._end - self._begin) * (len(name) + 0.6):
                self._below.text(
                    (first[piece] + last[piece]) / 2 / self._unit,
                    segments.worker[piece],
                    name,
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color=LOOKS[CLASSES[segments.what[piece]]].text.light,
                )

    def _merged(self, segments: Segments) -> None:
        shares = segments.shares(self._timeline.record.workers, self._begin, self._end, _COLUMNS)
        edges = np.linspace(self._begin, self._end, _COLUMNS + 1) / self._unit
        for worker in range(len(shares)):
            bottom = np.full(_COLUMNS, worker + _BAR / 2)
            for what, name in enumerate(CLASSES):
                if not shares[worker, what].any():
                    continue
                look = LOOKS[name]
                top = bottom - shares[worker, what] * _BAR  # the axis points down
                if name != WAKING:
                    self._shown.add(name)
                    self._below.fill_between(
                        edges,
                        np.append(bottom, bottom[-1]),
                        np.append(top, top[-1]),
                        step="post",
                        facecolor=look.ground.light,
                        linewidth=0,
                        hatch=_hatch(look) if look.height < 1 else None,  # it would hide the colour of narrow columns
                        edgecolor=_edge(look),
                    )
                bottom = top

    def _aborts(self) -> list[str]:
        timeline = self._timeline
        at = timeline.aborts["start"].astype(np.int64)
        inside = np.flatnonzero((at >= self._begin) & (at <= self._end))
        if not len(inside):
            return []
        self._marks.add("abort")
        if len(inside) > ARROWS:
            top = timeline.aborts["worker"][inside] - _BAR / 2 - 0.07
            self._below.scatter(at[inside] / self._unit, top, marker="|", s=14, linewidths=0.4, color=MARK.light, zorder=4)
            return [f"{len(inside):,} aborts: too many for arrows"]
        self._below.scatter(
            at[inside] / self._unit,
            timeline.aborts["worker"][inside] - _BAR / 2 - 0.06,
            marker="v",
            s=16,
            linewidths=0,
            color=MARK.light,
            zorder=4,
        )
        for abort in inside.tolist():
            self._arrow(timeline.invalidated_by[abort], timeline.ended[abort])
        return []

    def _arrow(self, writer: int, ended: int) -> None:
        if writer < 0 or ended < 0:
            return
        from matplotlib.patches import FancyArrowPatch

        self._marks.add("arrow")
        spans = self._timeline.spans
        source = (int(spans["end"][writer]) / self._unit, int(spans["worker"][writer]))
        target = (int(spans["end"][ended]) / self._unit, int(spans["worker"][ended]))
        down = np.sign(target[1] - source[1]) or -1
        self._below.add_patch(
            FancyArrowPatch(
                (source[0], source[1] + down * _BAR * 0.3),
                (target[0], target[1] - down * _BAR * 0.3 if target[1] != source[1] else target[1] + down * _BAR * 0.3),
                connectionstyle=f"arc3,rad={-0.25 if target[1] != source[1] else 0.4}",
                arrowstyle="-|>,head_length=3,head_width=1.6",
                linewidth=0.8,
                color=MARK.light,
                alpha=0.85,
                zorder=5,
                clip_on=True,
                shrinkA=0,
                shrinkB=0,
            )
        )

    def axes(self) -> None:
        workers = self._timeline.record.workers
        self._below.set_ylim(workers - 0.45, -0.6)
        self._below.set_xlim(self._begin / self._unit, self._end / self._unit)
        every = max(1, workers // 24)
        self._below.set_yticks(range(0, workers, every), [f"worker {worker}" for worker in range(0, workers, every)])
        self._below.set_xlabel(f"time since the block began ({self._unit_name})")
        self._below.tick_params(axis="y", length=0)
        for axes in (self._above, self._below):
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            axes.grid(axis="x", color="#e6e6e6", linewidth=0.6, zorder=0)
            axes.set_axisbelow(True)
        self._above.tick_params(axis="x", length=0)

    def legend(self, figure: Any) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        handles: list[Any] = [
            Patch(
                facecolor=LOOKS[name].ground.light,
                hatch=_hatch(LOOKS[name]),
                edgecolor=_edge(LOOKS[name]),
                label=name,
            )
            for name in CLASSES
            if name in self._shown
        ]
        if "solo" in self._marks:
            handles.append(Line2D([], [], color=_INK, linewidth=2.0, label="alone"))
        if "abort" in self._marks:
            handles.append(Line2D([], [], color=MARK.light, marker="v", linestyle="", markersize=4, label="abort"))
        if "arrow" in self._marks:
            handles.append(Line2D([], [], color=MARK.light, linewidth=0.9, label="write that ended an execution"))
        figure.legend(
            handles=handles,
            loc="outside upper right",
            ncols=len(handles),
            frameon=False,
            handlelength=1.4,
            columnspacing=1.2,
        )
