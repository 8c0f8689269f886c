"""What a run's memory is, looked at now and then."""

from __future__ import annotations

import pytest

from ioi_stress.running import memory
from ioi_stress.running.memory import MemoryWatch


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
