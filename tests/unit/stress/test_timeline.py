"""Lanes, what became of each execution, where the time went; records that cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import numpy as np
import pytest
from simulated_schedule import random_block, simulate

from ioi_exec import InputError
from ioi_exec.block.record import EVENT, READ, WRITE, EventKind, Record
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.timeline import (
    ABORTED,
    AGAIN,
    CLASSES,
    CUT,
    FIRST,
    IDLE,
    OTHER,
    PREEMPTED,
    VALIDATING,
    WAITING,
    WAKING,
    Timeline,
)
from ioi_stress.tracing.watermark import executing


def span(
    kind: EventKind, start: int, end: int, tx: int = 0, incarnation: int = 0, worker: int = 0, result: int = 1
) -> tuple[int, ...]:
    return (start, end, tx, incarnation, -1, -1, 0, worker, int(kind), result)


def record_of(*events: tuple[int, ...], workers: int = 1, transactions: int = 3) -> Record:
    made = np.array(sorted(events), EVENT)
    return Record(made, np.array([], READ), np.array([], WRITE), [], workers, transactions)


@pytest.mark.parametrize("seed", range(6))
def test_against_the_simulation(seed: int) -> None:
    record, truth = simulate(random_block(seed), workers=1 + seed % 4)
    timeline = Timeline.of(record)
    assert timeline.work().tolist() == [*(truth.final_ns[tx] for tx in range(record.transactions)), 0]
    shares = timeline.shares()
    assert (np.sum(list(shares.values()), axis=0) == timeline.duration).all()
    assert int(shares[WAITING].sum()) == sum(truth.waits.values())
    assert int(shares[ABORTED].sum() + shares[CUT].sum()) == truth.lost
    assert int(shares[FIRST].sum() + shares[AGAIN].sum()) == sum(truth.final_ns.values())
    counts = timeline.counts()
    assert counts["aborts"] == counts["aborted"] == counts["failed validations"] == len(truth.aborts)
    assert counts["cut short"] == truth.cut
    assert counts["first incarnation"] + counts["re-execution"] == record.transactions
    assert counts["executions"] == record.transactions + len(truth.aborts) + truth.cut
    ended = timeline.spans[timeline.ended]
    assert [(tx, inc) for tx, inc, _, _ in truth.aborts] == list(
        zip(ended["tx"].tolist(), ended["incarnation"].tolist())
    )

    segments = Segments.of(timeline)
    assert (segments.start < segments.end).all()
    for columns in (1, 7, 100):
        found = segments.shares(record.workers, 0, timeline.duration, columns)
        assert np.allclose(found.sum(axis=1), 1)
        for what, name in enumerate(CLASSES):
            assert np.allclose(found[:, what].sum(axis=1) * timeline.duration / columns, shares[name], atol=1e-3), name


def test_spans_inside_spans() -> None:
    events = [
        span(EventKind.SOLO, 100, 1000, tx=0),
        span(EventKind.EXECUTE, 100, 400, tx=0),
        span(EventKind.FETCH, 150, 200, tx=0),
        span(EventKind.SUSPEND, 250, 350, tx=0),
        span(EventKind.EXECUTE, 400, 700, tx=1, result=0),
        span(EventKind.VALIDATE, 900, 1010, tx=2),  # the clock was read a little late: it ends with what it is in
        span(EventKind.IDLE, 1010, 1100),
    ]
    timeline = Timeline.of(record_of(*events))
    assert timeline.parent.tolist() == [-1, 0, 1, 1, 0, 0, -1]
    assert timeline.spans["end"].tolist() == [1000, 400, 200, 350, 700, 1000, 1100]
    expected = {FIRST: 150, "fetching": 50, WAITING: 100, CUT: 300, VALIDATING: 100, IDLE: 90, WAKING: 100, OTHER: 210}
    assert {name: int(each[0]) for name, each in timeline.shares().items() if each[0]} == expected
    assert timeline.work().tolist() == [150, 0, 0, 0] and timeline.solo() == 900
    segments = Segments.of(timeline)
    assert list(zip(segments.start.tolist(), segments.end.tolist())) == [
        (0, 100),
        (100, 150),
        (150, 200),
        (200, 250),
        (250, 350),
        (350, 400),
        (400, 700),
        (900, 1000),
        (1010, 1100),
    ]


def test_what_another_program_had_the_core_for_is_neither_work_nor_fetching() -> None:
    events = [
        span(EventKind.EXECUTE, 0, 1000),
        span(EventKind.FETCH, 100, 500),
        span(EventKind.PREEMPTED, 150, 500),
        span(EventKind.PREEMPTED, 700, 1000),
        span(EventKind.PREEMPTED, 1000, 1200),  # between two tasks
        span(EventKind.SUSPEND, 1300, 1500),
        span(EventKind.PREEMPTED, 1400, 1500),  # it waited meanwhile, and would have had nothing to do
    ]
    timeline = Timeline.of(record_of(*events))
    shares = {name: int(each[0]) for name, each in timeline.shares().items() if each[0]}
    assert shares == {FIRST: 300, "fetching": 50, PREEMPTED: 950, WAITING: 100, OTHER: 100}
    assert timeline.work().tolist() == [300, 0, 0, 0] and timeline.counts()["preemptions"] == 4
    times, values = executing(timeline)
    assert list(zip(times.tolist(), values.tolist())) == [(0, 1), (150, 0), (500, 1), (700, 0)]


def test_a_worker_that_did_nothing() -> None:
    timeline = Timeline.of(record_of(span(EventKind.EXECUTE, 50, 200), workers=2))
    shares = timeline.shares()
    assert shares[WAKING].tolist() == [50, 200] and shares[OTHER].tolist() == [0, 0]
    empty = Timeline.of(record_of(transactions=0))
    assert empty.duration == 0 and empty.work().tolist() == [0]
    assert Segments.of(empty).shares(1, 0, 10, 5)[0, CLASSES.index(OTHER)].tolist() == [1] * 5


def test_incarnations() -> None:
    timeline = Timeline.of(
        record_of(
            span(EventKind.EXECUTE, 0, 10, tx=0),
            span(EventKind.EXECUTE, 10, 20, tx=1, result=0),
            span(EventKind.EXECUTE, 20, 30, tx=1),
            span(EventKind.EXECUTE, 30, 40, tx=2),
            span(EventKind.ABORT, 45, 45, tx=2),
            span(EventKind.EXECUTE, 50, 60, tx=2, incarnation=1),
        )
    )
    assert [CLASSES[what] for what in timeline.what] == [FIRST, CUT, FIRST, ABORTED, AGAIN]
    assert timeline.final.tolist() == [0, 2, 4, -1]


DAMAGES: dict[str, Callable[[Record], Any]] = {
    "ends before": lambda record: record.events["end"].__setitem__(3, record.events["start"][3] - 1),
    "worker": lambda record: record.events["worker"].__setitem__(0, 99),
    "kind": lambda record: record.events["kind"].__setitem__(0, 0),
    "event names a key": lambda record: record.events["key"].__setitem__(0, 1000),
    "event names a transaction": lambda record: record.events["tx"].__setitem__(0, 1000),
    "read names a key": lambda record: record.reads["key"].__setitem__(0, 1000),
    "write names a transaction": lambda record: record.writes["tx"].__setitem__(0, 1000),
    "later one wrote": lambda record: record.reads["writer"].__setitem__(0, 60),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_records_are_refused(what: str) -> None:
    record, _ = simulate(random_block(1))
    record.events[:] = record.events[np.argsort(record.events["end"] == record.events["start"], kind="stable")]
    DAMAGES[what](record)
    with pytest.raises(InputError, match=what):
        Timeline.of(record)


def test_other_arrays_are_refused() -> None:
    record, _ = simulate(random_block(1))
    with pytest.raises(InputError, match="type"):
        Timeline.of(replace(record, events=np.zeros(3)))
    with pytest.raises(InputError, match="no worker"):
        Timeline.of(replace(record, workers=0))
