"""What a run's memory is."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from ioi_stress.running import memory
from ioi_stress.running.memory import MemoryWatch, memory_bytes


def test_workers_count_and_the_dead_do_not() -> None:
    alone = memory_bytes([])
    program = "kept = bytearray(50_000_000); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    both = memory_bytes([child.pid])
    assert both - alone > 40_000_000
    child.communicate(b"\n")
    assert abs(memory_bytes([child.pid]) - alone) < 20_000_000


def test_where_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", denied)
    assert memory_bytes([]) == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert memory_bytes([os.getpid()]) < 2 * psutil.Process().memory_info().rss


def test_it_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    looked: list[float] = []

    def look(workers: object) -> int:
        looked.append(clock[0])
        clock[0] += 1.0
        return len(looked)

    monkeypatch.setattr(memory, "memory_bytes", look)
    monkeypatch.setattr(memory, "perf_counter", lambda: clock[0])
    watch, seen = MemoryWatch(), []
    for now in (0.0, 1.0, 20.9, 21.0, 30.0):
        clock[0] = now
        seen.append(watch.bytes([]))
    assert seen == [1, 1, 1, 2, 2] and looked == [0.0, 21.0]
