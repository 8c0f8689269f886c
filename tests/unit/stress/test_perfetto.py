"""The trace file: what Perfetto makes of it is what happened."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from simulated_schedule import random_block, simulate
from trace_reader import Trace, read_trace

from ioi_exec.block.record import EventKind
from ioi_stress.tracing.perfetto import microseconds, write_trace
from ioi_stress.tracing.timeline import Timeline
from ioi_stress.tracing.watermark import executing


def executed_ns(trace: Trace) -> int:
    return sum(each.end - each.start for each in trace.named("tx ")) - sum(
        each.end - each.start for each in trace.named("wait")
    )


@pytest.mark.parametrize("seed", range(8))
def test_file_says_what_happened(seed: int, tmp_path: Path) -> None:
    record, truth = simulate(random_block(seed), workers=1 + seed % 4)
    path = tmp_path / "trace.json"
    with open(path, "w") as stream:
        written = write_trace(Timeline.of(record), stream, {"workload": "random"})
    assert written == path.read_text().count('"ph"')
    trace = read_trace(path)
    assert trace.metadata == {"workload": "random"}
    assert trace.threads == {worker + 1: f"worker {worker}" for worker in range(record.workers)}
    assert sorted(trace.order, key=trace.order.__getitem__) == list(trace.threads)

    kinds = record.events["kind"]
    for begin, kind in (("tx ", 1), ("validate ", 2), ("abort ", 3), ("wait for ", 4), ("idle", 6), ("commit ", 7)):
        assert len(trace.named(begin)) == (kinds == kind).sum(), begin
    for event in record.events[kinds == EventKind.EXECUTE]:
        (found,) = (
            each
            for each in trace.named(f"tx {event['tx']} #{event['incarnation']}")
            if (each.start, each.end, each.tid) == (event["start"], event["end"], event["worker"] + 1)
        )
        assert (found.cat == "cut short") == (event["result"] == 0)
    assert all(wait.parent is not None and wait.parent.name.startswith("tx ") for wait in trace.named("wait for "))
    assert len([each for each in trace.slices if each.cat == "aborted"]) == len(truth.aborts)

    for tx, incarnation, key, other in truth.aborts:
        name = f"abort {tx} #{incarnation}"
        arrows = {flow: out for flow, out, into in trace.flows if into.name == name}
        assert arrows["ended"].name == f"tx {tx} #{incarnation}"
        assert arrows["invalidated"].name.startswith(f"tx {other} #")
        (abort,) = trace.named(name)
        assert abort.args["key"] == f"key/{key}"
        assert abort.args["because of"] == arrows["invalidated"].name
        ((again, _, into),) = (flow for flow in trace.flows if flow[1].name == name)
        assert again == "again" and into.name == f"tx {tx} #{incarnation + 1}"
    assert len(trace.flows) == 3 * len(truth.aborts)

    assert trace.counters["watermark transactions"][-1][1] == record.transactions
    assert trace.counters["executing workers"][0] == (0, record.workers if seed % 4 else 1)
    assert trace.counters["executing workers"][-1][1] == 0
    counter = trace.counters["executing workers"]
    assert sum(value * (after - now) for (now, value), (after, _) in zip(counter, counter[1:])) == executed_ns(trace)


def test_readers_that_cut_off_get_the_nanoseconds_back() -> None:
    rng = random.Random(1)
    exact = np.array([*range(20_000), *(rng.randrange(1 << rng.randrange(1, 46)) for _ in range(20_000))])
    found = microseconds(exact)
    assert [int(each * 1000.0) for each in found.tolist()] == exact.tolist()
    assert np.abs(found - exact / 1000).max() < 1e-4


def test_many_changes_become_means() -> None:
    timeline = Timeline.of(simulate(random_block(3, 200), workers=2)[0])
    times, exact = executing(timeline)
    starts, means = executing(timeline, samples=50)
    assert len(means) == 50 < len(exact) and set(exact) <= {0, 1, 2}
    ends = np.append(starts[1:], timeline.duration)
    assert (means * (ends - starts)).sum() == pytest.approx((exact[:-1] * np.diff(times)).sum(), rel=1e-3)
