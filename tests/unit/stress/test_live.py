"""What the live view says, call by call."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from ioi_exec import BlockResult, ExecutionMachine
from ioi_stress.plan import Plan
from ioi_stress.results.result import BlockMeasurement
from ioi_stress.running import live
from ioi_stress.running.live import live_view
from ioi_stress.running.measure import measure
from ioi_stress.workload import Block, FixedWorkload

PROGRESS = SimpleNamespace(
    transactions=1_000, watermark=250, executions=400, validations=500, aborts=20, suspensions=3, busy=(), arena_bytes=1 << 20
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def measured(**changed: Any) -> BlockMeasurement:
    plain: dict[str, Any] = dict(
        block=1, transactions=1_000, failed=0, mode="parallel", policy="default", workers=2, executions=1_050, validations=0, aborts=50,
        suspensions=7, retries=0, seconds={"execute": 0.5, "total": 0.5}, commit_seconds=0.0125, busy_seconds=[0.5, 0.25],
        sequential_seconds=None, state_root="", receipts_root="", memory_bytes=3 << 20,
    )
    return BlockMeasurement(**{**plain, **changed})


@pytest.fixture
def each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(live, "DRAW_SECONDS", 0.0)


def test_lines(each_call: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with live_view(True, terminal) as observer:
        assert observer is not None
        observer.began(Plan(repeat=2, warmup=1), 6)
        observer.progress(0, 0, PROGRESS)
        observer.finished(0, 0, measured())
        observer.finished(1, 1, measured(aborts=0))
    running, warm, second = terminal.getvalue().splitlines()
    assert running.startswith("ioi-stress: 4% warm-up 1 of 1, block 0: transactions/s ")
    assert "watermark 250 of 1,000; re-executions 0; aborts 20 (2.0%); suspensions 3" in running
    assert warm == (
        "ioi-stress: 17% warm-up 1 of 1, block 0: transactions/s 2,000; watermark 1,000 of 1,000; re-executions 50; aborts 50 (5.0%); "
        "suspensions 7; memory 3 MiB; commit 12.5 ms; workers busy 100%, 50%"
    )
    assert second.startswith("ioi-stress: 33% repetition 1 of 2, block 1: ") and "aborts 0 (0.0%)" in second


def test_a_picture(each_call: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    terminal = Terminal()
    with live_view(True, terminal) as observer:
        assert observer is not None
        observer.began(Plan(), None)
        assert "making the state" in terminal.getvalue()
        observer.finished(1, 0, measured())
    shown = terminal.getvalue()
    assert "1 blocks" in shown and "worker 1" in shown and "50%" in shown


def test_lines_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(live, "monotonic", lambda: clock[0])
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with live_view(True, terminal) as observer:
        assert observer is not None
        observer.began(Plan(), 10)
        for number, now in enumerate((100.5, 101.9, 102.1, 103.0, 104.2)):
            clock[0] = now
            observer.finished(1, number, measured())
    assert [line.partition(", block ")[2][:1] for line in terminal.getvalue().splitlines()] == ["2", "4"]


def test_nothing_without_a_terminal_or_when_not_wanted() -> None:
    for wanted, stream in ((True, io.StringIO()), (False, Terminal())):
        with live_view(wanted, stream) as observer:
            assert observer is None
        assert stream.getvalue() == ""


def test_the_engine_is_asked_for_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of parallel executions alone, and of the block and repetition they are of."""
    execute = ExecutionMachine.execute
    told: list[tuple[int, int]] = []

    def telling(
        self: ExecutionMachine, txs: Any, header: Any = None, *, sequential: bool = False, on_progress: Any = None
    ) -> BlockResult:
        assert not (sequential and on_progress)
        if on_progress is not None:
            on_progress(PROGRESS)
        return execute(self, txs, header, sequential=sequential)

    class Observer:
        def began(self, plan: Plan, total_blocks: int | None) -> None: ...
        def finished(self, repetition: int, block: int, measured: BlockMeasurement) -> None: ...
        def progress(self, repetition: int, block: int, progress: Any) -> None:
            assert progress is PROGRESS
            told.append((repetition, block))

    class VM:
        def execute(self, tx: bytes, state: Any, ctx: Any) -> None: ...

    monkeypatch.setattr(ExecutionMachine, "execute", telling)
    measure(FixedWorkload("w", VM, {}, [Block([b"a"])] * 2), Plan(workers=0, repeat=1), Observer())
    assert told == [(0, 0), (0, 1), (1, 0), (1, 1)]
