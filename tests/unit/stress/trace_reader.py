"""Reads a trace as Perfetto's trace processor does (its JSON importer, slice tracker and flow tracker), and forgives
nothing.

Events are taken in order of their time, those of the same time in that of the file. Times are cut off to nanoseconds.
A slice that partly overlaps one that is open on its thread, a flow without an open slice, without its start, or with
an id in use is an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Slice:
    name: str
    cat: str
    tid: int
    start: int
    end: int
    args: dict[str, Any]
    parent: Slice | None


@dataclass
class Trace:
    slices: list[Slice] = field(default_factory=list)
    flows: list[tuple[str, Slice, Slice]] = field(default_factory=list)
    counters: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    threads: dict[int, str] = field(default_factory=dict)
    order: dict[int, int] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def named(self, begin: str) -> list[Slice]:
        return [each for each in self.slices if each.name.startswith(begin)]


def nanoseconds(value: Any) -> int:
    assert isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    return int(value * 1000.0)


def read_trace(path: Path) -> Trace:
    value = json.loads(path.read_text())
    found = Trace(metadata=value["metadata"])
    stacks: dict[int, list[Slice]] = {}
    begun: dict[tuple[int, str, str], Slice] = {}
    ended: set[tuple[int, str, str]] = set()
    for event in sorted(value["traceEvents"], key=lambda event: nanoseconds(event["ts"])):
        assert not any(isinstance(each, list) for each in event.values()), "older importers refuse arrays"
        phase, tid, now = event["ph"], event["tid"], nanoseconds(event["ts"])
        assert isinstance(event["pid"], int) and isinstance(tid, int) and tid > 0
        stack = stacks.setdefault(tid, [])
        if phase == "M":
            if event["name"] == "thread_name":
                found.threads[tid] = event["args"]["name"]
            elif event["name"] == "thread_sort_index":
                found.order[tid] = event["args"]["sort_index"]
            else:
                assert event["name"] == "process_name" and event["args"]["name"]
        elif phase in "Xi":
            assert phase == "X" or event["s"] == "t"
            end = now + (nanoseconds(event["dur"]) if phase == "X" else 0)
            while stack and (stack[-1].end < now or stack[-1].end == now and (stack[-1].start < now or end > now)):
                stack.pop()
            for around in stack:
                assert end <= around.end, f"{event} partly overlaps {around}"
            each = Slice(event["name"], event["cat"], tid, now, end, event["args"], stack[-1] if stack else None)
            stack.append(each)
            found.slices.append(each)
        elif phase in "sf":
            assert stack, f"{event} has no slice to bind to"
            assert stack[-1].start <= now <= stack[-1].end, (
                f"{event} would bind to {stack[-1]}, which does not enclose it"
            )
            name = (event["id"], event["cat"], event["name"])
            if phase == "s":
                assert name not in begun, f"{event}: the id is taken"
                begun[name] = stack[-1]
            else:
                assert event["bp"] == "e"
                assert name in begun and name not in ended, f"{event} ends what did not begin"
                ended.add(name)
                assert begun[name].start <= stack[-1].start, f"{event} goes back in time"
                found.flows.append((event["name"], begun[name], stack[-1]))
        else:
            assert phase == "C"
            ((unit, number),) = event["args"].items()
            found.counters.setdefault(f"{event['name']} {unit}", []).append((now, number))
    assert set(begun) == ended, "flows that lead nowhere"
    return found
