"""The part of a page that is about one recorded block: its timeline, where the time went, and why it was as fast as it
was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from ioi_stress.explaining import tables
from ioi_stress.explaining.advice import advice
from ioi_stress.explaining.explanation import Explanation
from ioi_stress.notation.text import counted, short
from ioi_stress.reporting.bars import stacked
from ioi_stress.reporting.cells import milliseconds
from ioi_stress.reporting.lanes import still
from ioi_stress.reporting.lines import IDEAL, Series, line_chart
from ioi_stress.reporting.rendering import render
from ioi_stress.reporting.timeline_data import timeline_data
from ioi_stress.results.interval import Interval
from ioi_stress.running.recording import Recording
from ioi_stress.tracing.looks import LOOKS
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.summary import counts_line, shares_cells
from ioi_stress.tracing.timeline import CLASSES, Timeline
from ioi_stress.tracing.window import window

if TYPE_CHECKING:
    from markupsafe import Markup

SCRIPT = "timeline.js"
_TOP = 15  # rows of a table
_ENDS = 8  # transactions of a path


def recorded_sections(recording: Recording) -> tuple[Markup, dict[str, Any]]:
    """The sections "block" and "why", and the data that the script `SCRIPT` wants."""
    found = Explanation.of(recording)
    timeline = found.timeline
    begin, end = window(timeline, None, None)
    segments = Segments.of(timeline)
    data = timeline_data(timeline, segments, begin, end)
    return render(
        "recorded.html",
        about=_about(found),
        timeline=still(timeline, segments, begin, end),
        transactions=timeline.record.transactions,
        merged=f"{data['merged'] / 1e3:,.1f}" if data["merged"] else "",
        shares=_shares(timeline),
        counts=counts_line(timeline),
        shares_cells=shares_cells(timeline),
        advice=advice(found),
        bounds=_bounds(found),
        bounds_about=tables.bounds(found),
        tables=[(tables.keys(found, _TOP), ""), (tables.pairs(found, _TOP), ""), (tables.path(found, _TOP), _path(found))],
        text_columns=_text_columns,
    ), data


def _text_columns(heads: Sequence[str]) -> list[int]:
    return [0, *(index for index, head in enumerate(heads) if head == "key")]


def _about(found: Explanation) -> str:
    recording = found.recording
    one, many, recorded = (min(each) for each in (recording.sequential, recording.parallel, recording.recorded))
    return (
        f"Block {recording.number}, {counted(found.transactions, 'transaction')} on "
        f"{counted(found.workers, 'worker')}, executed once more and recorded, "
        f"on a state in memory. Executing took {milliseconds(one)} one by one, {milliseconds(many)} in parallel and "
        f"{milliseconds(recorded)} in parallel "
        f"while it was recorded{tables.of_all(len(recording.parallel))}. Every one of these ended with the same roots and receipts."
    )


def _shares(timeline: Timeline) -> Markup:
    shares, duration = timeline.shares(), max(timeline.duration, 1)
    return stacked(
        [
            (f"worker {worker}", [100 * shares[name][worker] / duration for name in CLASSES])
            for worker in range(timeline.record.workers)
        ],
        [(name, LOOKS[name].style) for name in CLASSES],
        title="Where each worker's time went",
        unit="% of the block's time",
        high=100.0,
    )


def _path(found: Explanation) -> str:
    """The transactions of the critical path, the middle of a long one left out."""
    path = [str(tx) for tx in found.path.transactions]
    if len(path) > 2 * _ENDS:
        path = [*path[:_ENDS], "\u2026", *path[-_ENDS:]]
    return " \u2192 ".join(path) if len(path) > 1 else ""


def _bounds(found: Explanation) -> Markup:
    """The best possible speed-up against cores, and the one it had."""

    def line(label: str, style: str, values: list[tuple[float, float]], joined: bool = True) -> Series:
        return Series(label, [(x, Interval.of([y])) for x, y in values], style, joined)

    cores = [(float(each.cores), each) for each in found.bounds]
    series = [
        line("no schedule is above", "s0", [(x, each.at_most) for x, each in cores]),
        line("one that knew all is not below", "s2", [(x, each.at_least) for x, each in cores]),
        line("this block had", "s1", [(float(found.workers), found.had)], joined=False),
        line("any number of cores", IDEAL, [(cores[0][0], found.best), (cores[-1][0], found.best)]),
    ]
    return line_chart(
        series,
        title=f"Best possible speed-up: {short(found.best)}",
        note=f"{'What it had' if found.best > found.modelled else 'All work over the critical path'}. It had {short(found.had)} on {counted(found.workers, 'worker')}.",
        x="cores",
        y="times as fast as one by one",
    )
