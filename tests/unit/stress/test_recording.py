"""One block of a workload, executed for real and recorded."""

from __future__ import annotations

import os
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from trace_reader import read_trace

from ioi_exec import Diverged, InputError
from ioi_stress.explaining.dependencies import Dependencies
from ioi_stress.explaining.explanation import Explanation
from ioi_stress.plan import Plan
from ioi_stress.running.recording import record_block
from ioi_stress.tracing.perfetto import write_trace
from ioi_stress.tracing.timeline import Timeline
from ioi_stress.workload import Block, FixedWorkload


class Adder:
    """A transaction names the counters it adds one to."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        for key in tx.split():
            state.put(key, b"%d" % (int(state.get(key) or b"0") + 1))


class SlowAdder(Adder):
    """Leaves others time to write between its read and its write."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.get(tx)
        sleep(0.001)
        super().execute(tx, state, ctx)


class Pid:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(b"pid", b"%d" % os.getpid())


def workload(*blocks: list[bytes], vm: Any = Adder) -> FixedWorkload:
    return FixedWorkload("counters", vm, {b"start": b"7"}, [Block(txs) for txs in blocks])


def test_a_block_after_others() -> None:
    plan = Plan(workers=2, repeat=2, warmup=0)
    found = record_block(workload([b"a"] * 3, [], [b"a", b"b", b"a b", b"c", b"b"]), 2, plan)
    record = found.record
    assert record.transactions == 5 and record.workers == 2 and found.result.version == 3
    assert len(found.sequential) == len(found.parallel) == len(found.recorded) == len(found.records) == 2
    assert min(found.sequential + found.parallel + found.recorded) > 0 and found.cost().n == 2
    timeline = Timeline.of(record)
    assert (timeline.final[:5] >= 0).all() and (found.work()[:5] > 0).all()
    graph = Dependencies.of(record, found.work())
    named = [
        (reader, writer, record.keys[key])
        for reader, writer, key in zip(graph.reader.tolist(), graph.writer.tolist(), graph.key.tolist())
    ]
    assert named == [(2, 0, b"a"), (2, 1, b"b"), (4, 2, b"b")]
    explanation = Explanation.of(found)
    assert explanation.path.transactions[-2:] in ([2, 4], [0, 2], [1, 2]) or len(explanation.path.transactions) == 1
    assert 1 <= explanation.best <= 5


def test_trace_of_a_real_block_nests_and_binds(tmp_path: Path) -> None:
    found = record_block(
        workload([b"%d" % (tx % 3) for tx in range(40)], vm=SlowAdder), 0, Plan(workers=3, repeat=1, warmup=0)
    )
    timeline = Timeline.of(found.record)
    with open(tmp_path / "trace.json", "w") as stream:
        write_trace(timeline, stream)
    trace = read_trace(tmp_path / "trace.json")
    counts = timeline.counts()
    assert len(trace.named("tx ")) == counts["executions"] and len(trace.named("abort ")) == counts["aborts"]
    assert sum(name == "ended" for name, _, _ in trace.flows) == counts["aborts"]
    assert all(into.name.startswith("abort ") for name, _, into in trace.flows if name == "invalidated")
    if counts["aborts"]:  # hardly ever none, but how workers get along is for nobody to decide
        assert any(name == "invalidated" for name, _, _ in trace.flows)


@pytest.mark.parametrize(
    ("number", "workers", "message"),
    [(3, 1, "there is no block 3: counters has 2 blocks"), (1, 1, "no transactions"), (0, 0, "workers is 0")],
)
def test_nothing_to_record(number: int, workers: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        record_block(workload([b"a"], []), number, Plan(workers=workers))


def test_what_differs_from_sequential_execution_is_not_shown() -> None:
    with pytest.raises(Diverged, match="block 0 of counters"):
        record_block(workload([b"x"], vm=Pid), 0, Plan(workers=1))
