"""How much memory the engine takes."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from ioi_exec import ExecutionMachine, Limits, Policy
from ioi_exec.footprint import memory_bytes
from tools.bench.workloads import PaymentsLoad

MOST = {"arena_most": 64 << 20, "cache_most": 8 << 20}
LIMITS = Limits(arena_bytes=MOST["arena_most"], cache_bytes=MOST["cache_most"])


def test_workers_count_and_the_dead_do_not() -> None:
    alone = memory_bytes([None])
    program = "kept = bytearray(50_000_000); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    both = memory_bytes([None, child.pid])
    assert both - alone > 40_000_000
    child.communicate(b"\n")
    assert abs(memory_bytes([None, child.pid]) - alone) < 20_000_000


def test_where_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", denied)
    assert memory_bytes([None]) == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert memory_bytes([None, os.getpid()]) < 2 * psutil.Process().memory_info().rss


def test_what_a_machine_says_of_itself() -> None:
    load = PaymentsLoad(50)
    with ExecutionMachine.create(None, "payments", genesis=load.genesis(), workers=2, pin=False, limits=LIMITS) as machine:
        before = machine.footprint
        assert {**before, "processes": 0} == {"processes": 0, "arena": 0, "cache": 0, **MOST}
        memory = machine.execute(load.block(300), policy=Policy.named("all-workers")).stats.memory
        after = machine.footprint
        assert {**after, "processes": 0} == {"processes": 0, **memory, **MOST}
        assert 0 < memory["arena"] <= MOST["arena_most"] and 0 < memory["cache"] <= MOST["cache_most"]
        assert after["processes"] > before["processes"] > 1 << 20


@pytest.mark.parametrize("sequential", [True, False])
def test_one_by_one_there_is_no_arena(sequential: bool) -> None:
    load = PaymentsLoad(50)
    with ExecutionMachine.create(None, "payments", genesis=load.genesis(), workers=2 if sequential else 0, limits=LIMITS) as machine:
        machine.execute(load.block(10), sequential=sequential)
        assert machine.footprint["arena"] == 0


def test_without_a_limit_it_is_what_is_free() -> None:
    with ExecutionMachine.create(None, "payments", workers=0) as machine:
        assert machine.footprint["arena_most"] >= 0
