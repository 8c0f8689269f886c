"""The part of a page that is about one recorded block: its timeline, where the time went, and why it was as fast as it
was."""

from __future__ import annotations

import statistics

from ioi_stress.explain import tables
from ioi_stress.explain.advice import advice
from ioi_stress.explain.explanation import Explanation
from ioi_stress.interval import Interval
from ioi_stress.recording import Recording
from ioi_stress.report.bars import stacked
from ioi_stress.report.cells import milliseconds
from ioi_stress.report.lanes import STYLES, still
from ioi_stress.report.lines import IDEAL, Series, line_chart
from ioi_stress.report.markup import Child, Markup, json_script, tag
from ioi_stress.report.page import folded, section, table
from ioi_stress.report.timeline_data import timeline_data
from ioi_stress.text import counted, short
from ioi_stress.trace.segments import Segments
from ioi_stress.trace.summary import counts_line, shares_cells
from ioi_stress.trace.timeline import CLASSES, Timeline
from ioi_stress.trace.window import window

SCRIPT = "timeline.js"
_TOP = 15  # rows of a table
_ENDS = 8  # transactions of a path


def recorded_sections(recording: Recording) -> tuple[list[Markup], Markup]:
    """The sections "block" and "why", and the data that the script `SCRIPT` wants."""
    found = Explanation.of(recording)
    begin, end = window(found.timeline, None, None)
    segments = Segments.of(found.timeline)
    data = timeline_data(found.timeline, segments, begin, end)
    block = section(
        "block",
        "One block, step by step",
        tag("p", _about(found), class_="about"),
        _timeline(found.timeline, segments, begin, end, data["merged"]),
        _shares(found.timeline),
    )
    return [block, _why(found)], json_script("timeline-data", data)


def _about(found: Explanation) -> str:
    recording = found.recording
    one, many, recorded = (
        statistics.median(each) for each in (recording.sequential, recording.parallel, recording.recorded)
    )
    times = f", medians of {len(recording.parallel)}" if len(recording.parallel) > 1 else ""
    return (
        f"Block {recording.number}, {counted(found.transactions, 'transaction')} on "
        f"{counted(found.workers, 'worker')}, executed once more and recorded, "
        f"on a state in memory. Executing took {milliseconds(one)} one by one, {milliseconds(many)} in parallel and "
        f"{milliseconds(recorded)} in parallel "
        f"while it was recorded{times}. Every one of these ended with the same roots and receipts."
    )


def _timeline(timeline: Timeline, segments: Segments, begin: int, end: int, merged: int) -> Markup:
    picture, legend = still(timeline, segments, begin, end)
    buttons: list[Child] = [
        tag(
            "button",
            text,
            type="button",
            data_do=does,
            data_whole="" if does in ("left", "right", "all") else None,
            aria_label=name,
            title=name,
        )
        for does, text, name in (
            ("in", "+", "zoom in"),
            ("out", "\u2212", "zoom out"),
            ("left", "\u2190", "earlier"),
            ("right", "\u2192", "later"),
            ("all", "all", "the whole block"),
        )
    ]
    wanted = tag(
        "label",
        "transaction ",
        tag("input", type="number", id="timeline-tx", min=0, max=timeline.record.transactions, placeholder="number"),
    )
    controls = tag("div", buttons, wanted, tag("output", id="timeline-range"), class_="controls")
    hint = (
        "Drag to move, double-click or Ctrl and wheel to zoom, or the keys + \u2212 \u2190 \u2192 0. Point at anything "
        "to see what it is. "
        "The address follows what is shown."
    )
    if merged:
        hint += (
            f" There is more than a page should hold: where pieces are shorter than {merged / 1e3:,.1f} us, those of a "
            "kind that lie together are merged."
        )
    note = (
        "A lane for each worker; a mark on it is an abort, an arrow leads from the write to the execution that it "
        "ended. Where pieces are too "
        "narrow, the height of a colour is its share of the time."
    )
    figure = tag("figure", tag("div", picture, class_="scroll"), legend, tag("figcaption", note))
    return tag(
        "div",
        controls,
        figure,
        tag("p", hint, class_="hint soft"),
        tag("div", id="timeline-tip", role="status", hidden=True),
        id="timeline-box",
    )


def _shares(timeline: Timeline) -> list[Markup]:
    shares, duration = timeline.shares(), max(timeline.duration, 1)
    rows = [
        (f"worker {worker}", [100 * shares[name][worker] / duration for name in CLASSES])
        for worker in range(timeline.record.workers)
    ]
    heads, cells = shares_cells(timeline)
    chart = stacked(
        rows,
        [(name, STYLES[name]) for name in CLASSES],
        title="Where each worker's time went",
        unit="% of the block's time",
        high=100.0,
    )
    counts = tag("p", counts_line(timeline) + ".", class_="soft")
    return [
        tag(
            "div",
            chart,
            tag(
                "div",
                tag("h3", "What was counted"),
                counts,
                folded("The workers' time in numbers", table(heads, cells)),
            ),
            class_="beside",
        )
    ]


def _why(found: Explanation) -> Markup:
    path = [str(tx) for tx in found.path.transactions]
    if len(path) > 2 * _ENDS:
        path = [*path[:_ENDS], "\u2026", *path[-_ENDS:]]
    chain = tag("p", " \u2192 ".join(path), class_="soft") if len(path) > 1 else None
    said = tag("ul", [tag("li", sentence) for sentence in advice(found)], class_="points")
    parts: list[Child] = [tag("div", said, _bounds(found), class_="beside")]
    for each, before in (
        (tables.keys(found, _TOP), None),
        (tables.pairs(found, _TOP), None),
        (tables.path(found, _TOP), chain),
    ):
        if not each.rows:
            parts.append(tag("p", each.title) if each.title else None)
            continue
        left = [0, *(index for index, head in enumerate(each.heads) if head == "key")]
        parts += [
            tag("h3", each.title),
            before,
            table(each.heads, each.rows, left),
            [tag("p", note, class_="soft") for note in each.notes],
        ]
    return section("why", "Why it was as fast as it was", *parts)


def _bounds(found: Explanation) -> Markup:
    """The best possible speed-up against cores, and the one it had."""

    def line(label: str, style: str, values: list[tuple[float, float]], joined: bool = True) -> Series:
        return Series(label, [(x, Interval(y, y, y, 1, 0.0)) for x, y in values], style, joined)

    cores = [(float(each.cores), each) for each in found.bounds]
    series = [
        line("no schedule is above", "s0", [(x, each.at_most) for x, each in cores]),
        line("one that knew all is not below", "s2", [(x, each.at_least) for x, each in cores]),
        line("this block had", "s1", [(float(found.workers), found.had)], joined=False),
        line("any number of cores", IDEAL, [(cores[0][0], found.best), (cores[-1][0], found.best)]),
    ]
    about = tables.bounds(found)
    chart = line_chart(
        series,
        title=f"Best possible speed-up: {short(found.best)}",
        note=f"All work over the critical path. It had {short(found.had)} on {counted(found.workers, 'worker')}.",
        x="cores",
        y="times as fast as one by one",
    )
    notes = tag("p", " ".join(about.notes), class_="soft")
    return tag("div", chart, folded("The same in numbers, and what is assumed", table(about.heads, about.rows), notes))
