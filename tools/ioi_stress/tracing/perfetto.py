"""A timeline in the Trace Event Format, which the Perfetto UI (ui.perfetto.dev) and chrome://tracing open.

A lane (thread) per worker. Complete events (ph X) of a lane nest or are disjoint, as the format demands. Arrows
(flows, ph s and f): "invalidated" from the execution that wrote to the abort it caused, "ended" from the execution
given up to its abort, "again" from the abort to the next execution. The abort stands for the end of the incarnation
because an arrow must not go back in time: often the incarnation had long finished when the write came. Perfetto draws
an arrow from the end of the slice it leaves; it binds a flow to the slice that was opened last on the lane, so each
`s` and `f` directly follows its slice in the file and has its time.
"""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping, TextIO

import numpy as np
import numpy.typing as npt

from ioi_exec.block.record import EventKind
from ioi_stress.tracing.timeline import CLASSES, Timeline, accesses, keys_by_tx
from ioi_stress.tracing.watermark import executing, watermark

PROCESS = 1
_KEYS_SHOWN = 8
_NAMES: dict[int, str] = {
    EventKind.EXECUTE: "tx",
    EventKind.VALIDATE: "validate",
    EventKind.SUSPEND: "wait for",
    EventKind.FETCH: "fetch from",
    EventKind.IDLE: "idle",
    EventKind.SOLO: "solo from",
    EventKind.PREEMPTED: "preempted",
}


def write_trace(timeline: Timeline, stream: TextIO, about: Mapping[str, Any] | None = None) -> int:
    """Write the trace and return how many events it has. about: kept beside them, as the trace's metadata."""
    count = 0
    stream.write('{"displayTimeUnit": "ns", "metadata": ' + json.dumps(dict(about or {})) + ', "traceEvents": [')
    for count, event in enumerate(trace_events(timeline), 1):
        stream.write((",\n" if count > 1 else "\n") + json.dumps(event))
    stream.write("\n]}\n")
    return count


def trace_events(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """The events in the order of the file: metadata, then by time."""
    yield from _metadata(timeline)
    keys, (leaving, arriving) = _Keys(timeline), _flows(timeline)
    # An abort comes before an execution that begins in its nanosecond: it may be the next incarnation.
    timed = [
        *_instants(timeline, keys, leaving, arriving),
        *_slices(timeline, keys, leaving, arriving),
        *_counters(timeline),
    ]
    timed.sort(key=lambda each: each[0])  # stable: what opens a slice stays before what binds to it
    for _, event in timed:
        yield event


def microseconds(nanoseconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """As the format wants times. A reader that multiplies by 1,000 and cuts off, as Perfetto does, gets the
    nanoseconds back."""
    exact = np.asarray(nanoseconds, np.int64)
    found = exact / 1000
    while (short := (found * 1000).astype(np.int64) < exact).any():
        found[short] = np.nextafter(found[short], np.inf)
    return found


def lane(worker: int) -> int:
    """The thread id of a worker; 0 has a meaning of its own for readers."""
    return worker + 1


def _metadata(timeline: Timeline) -> Iterator[dict[str, Any]]:
    def event(name: str, tid: int, /, **args: Any) -> dict[str, Any]:
        return {"ph": "M", "name": name, "pid": PROCESS, "tid": tid, "ts": 0, "args": args}

    yield event("process_name", lane(0), name=f"block of {timeline.record.transactions} transactions")
    for worker in range(timeline.record.workers):
        yield event("thread_name", lane(worker), name=f"worker {worker}")
        yield event("thread_sort_index", lane(worker), sort_index=worker)


Timed = tuple[int, dict[str, Any]]


def _slices(timeline: Timeline, keys: _Keys, leaving: _Flows, arriving: _Flows) -> Iterator[Timed]:
    spans = timeline.spans
    ts, dur = microseconds(spans["start"]).tolist(), microseconds(spans["end"] - spans["start"]).tolist()
    for index, (span, what) in enumerate(zip(spans.tolist(), timeline.what.tolist())):
        start, _, tx, incarnation, other, _, _, worker, kind, _ = span
        name = _NAMES[kind]
        if kind == EventKind.EXECUTE:
            name = f"{name} {keys.tx(tx)} #{incarnation}"
        elif kind not in (EventKind.IDLE, EventKind.PREEMPTED):
            name = f"{name} {keys.tx(other if kind == EventKind.SUSPEND else tx)}"
        where = {"pid": PROCESS, "tid": lane(worker), "ts": ts[index]}
        category = "solo" if kind == EventKind.SOLO else CLASSES[what]
        yield (
            start,
            {"ph": "X", "name": name, "cat": category, **where, "dur": dur[index], "args": keys.args(index, span)},
        )
        yield from _bound(start, where, index, leaving, arriving)


def _instants(timeline: Timeline, keys: _Keys, leaving: _Flows, arriving: _Flows) -> Iterator[Timed]:
    times = microseconds(timeline.aborts["start"]).tolist()
    for number, abort in enumerate(timeline.aborts.tolist()):
        start, _, tx, incarnation, other, key, other_incarnation, worker, _, stands = abort
        where = {"pid": PROCESS, "tid": lane(worker), "ts": times[number]}
        args = {"transaction": tx, "incarnation": incarnation, **keys.cause(key, other, other_incarnation)}
        if not stands and other >= 0:
            args["that write"] = "was aborted itself"
        yield (
            start,
            {"ph": "i", "s": "t", "name": f"abort {keys.tx(tx)} #{incarnation}", "cat": "abort", **where, "args": args},
        )
        yield from _bound(start, where, _abort(number), leaving, arriving)
    times = microseconds(timeline.commits["start"]).tolist()
    for number, (start, _, tx, _, _, _, _, worker, _, _) in enumerate(timeline.commits.tolist()):
        where = {"pid": PROCESS, "tid": lane(worker), "ts": times[number]}
        yield (
            start,
            {"ph": "i", "s": "t", "name": f"commit up to {tx}", "cat": "commit", **where, "args": {"final": tx}},
        )


def _bound(start: int, where: dict[str, Any], end: int, leaving: _Flows, arriving: _Flows) -> Iterator[Timed]:
    """The arrows of a slice, right behind it."""
    for flow in arriving.get(end, ()):
        yield start, {"ph": "f", "bp": "e", **flow, **where}
    for flow in leaving.get(end, ()):
        yield start, {"ph": "s", **flow, **where}


_Flows = dict[int, list[dict[str, Any]]]


def _abort(number: int) -> int:
    """The place of an abort among the ends of arrows; those of spans are their indices."""
    return -1 - number


def _flows(timeline: Timeline) -> tuple[_Flows, _Flows]:
    """What leaves and what arrives, by slice."""
    leaving: _Flows = {}
    arriving: _Flows = {}
    starts = [*timeline.spans["start"].tolist(), 0]  # the last is for -1
    again = _next_executions(timeline)
    count = 0
    for number, (ended, writer) in enumerate(zip(timeline.ended.tolist(), timeline.invalidated_by.tolist())):
        time, here = int(timeline.aborts["start"][number]), _abort(number)
        for name, span, source, target in (
            ("invalidated", writer, writer, here),
            ("ended", ended, ended, here),
            ("again", again[number], here, again[number]),
        ):
            backwards = starts[span] >= time if target == here else starts[span] < time
            if span < 0 or backwards:
                continue
            count += 1
            flow = {"name": name, "cat": "abort", "id": count}
            leaving.setdefault(source, []).append(flow)
            arriving.setdefault(target, []).append(flow)
    return leaving, arriving


def _next_executions(timeline: Timeline) -> list[int]:
    """By abort: index of the first execution of the next incarnation; -1: none."""
    first: dict[tuple[int, int], int] = {}
    executed = np.flatnonzero(timeline.spans["kind"] == EventKind.EXECUTE)
    by_time = executed[np.argsort(timeline.spans["start"][executed], kind="stable")]
    for index, tx, incarnation in zip(
        by_time.tolist(), timeline.spans["tx"][by_time].tolist(), timeline.spans["incarnation"][by_time].tolist()
    ):
        first.setdefault((tx, incarnation), index)
    return [
        first.get((tx, incarnation + 1), -1)
        for tx, incarnation in zip(timeline.aborts["tx"].tolist(), timeline.aborts["incarnation"].tolist())
    ]


def _counters(timeline: Timeline) -> Iterator[Timed]:
    for name, unit, (times, values) in (
        ("watermark", "transactions", watermark(timeline)),
        ("executing", "workers", executing(timeline)),
    ):
        for start, time, value in zip(times.tolist(), microseconds(times).tolist(), values.tolist()):
            yield start, {"ph": "C", "name": name, "pid": PROCESS, "tid": lane(0), "ts": time, "args": {unit: value}}


class _Keys:
    """What a slice says about itself when it is clicked."""

    def __init__(self, timeline: Timeline) -> None:
        self.tx = timeline.name
        self._names = [timeline.namer(key) for key in timeline.record.keys]
        self._final, self._what = timeline.final.tolist(), timeline.what.tolist()
        self._rows = {
            what: keys_by_tx(rows, timeline.record.transactions)
            for what, rows in zip(("reads", "writes", "adds"), accesses(timeline.record))
        }

    def args(self, index: int, span: tuple[int, ...]) -> dict[str, Any]:
        _, _, tx, incarnation, other, key, other_incarnation, _, kind, result = span
        if kind == EventKind.IDLE:
            return {}
        found: dict[str, Any] = {"transaction": tx}
        if kind in (EventKind.FETCH, EventKind.SOLO):
            return {**found, "up to": other} if kind == EventKind.SOLO else {**found, **self.cause(key, -1, 0)}
        found["incarnation"] = incarnation
        if kind == EventKind.VALIDATE:
            found["outcome"] = "valid" if result else "invalid"
        if kind == EventKind.EXECUTE:
            found["outcome"] = CLASSES[self._what[index]]
            if index == self._final[tx]:
                found.update(
                    (what, self._listed(keys[begins[tx] : begins[tx + 1]]))
                    for what, (keys, begins) in self._rows.items()
                )
        return {**found, **self.cause(key, other, other_incarnation)}

    def cause(self, key: int, other: int, other_incarnation: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if key >= 0:
            found["key"] = self._names[key]
        if other >= 0:
            found["because of"] = f"tx {self.tx(other)} #{other_incarnation}"
        return found

    def _listed(self, keys: list[int]) -> str:
        more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
        return ", ".join(self._names[key] for key in keys[:_KEYS_SHOWN]) + more
