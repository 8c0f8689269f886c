"""Workers are pinned to cores that no other engine has, or run wherever the process may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ioi_exec import ExecutionMachine
from ioi_exec.cores import allowed_cores
from ioi_exec.execution.workers import pinning
from ioi_exec.execution.workers.pinning import Claims, Unpinned


class Counter:
    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        state.put(tx, b"1")


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> str:
    """Other tests run engines beside this one."""
    name = f"\0ioi-exec-test-{os.getpid()}-{{}}"
    monkeypatch.setattr(pinning, "NAME", name)
    return name


@pytest.fixture
def ours() -> Iterator[set[int]]:
    ours = os.sched_getaffinity(0)
    if len(ours) < 2:
        pytest.skip("one core")
    yield ours
    os.sched_setaffinity(0, ours)


def cores_of(machine: ExecutionMachine) -> list[set[int]]:
    machine.execute([b"%d" % i for i in range(400)])
    return [os.sched_getaffinity(pid) for pid in machine.worker_pids]


def test_two_engines_never_pin_to_the_same_core(ours: set[int]) -> None:
    with ExecutionMachine.create(None, Counter, workers=1) as first:
        (core,), = cores_of(first)
        with ExecutionMachine.create(None, Counter, workers=1) as second:
            (other,), = cores_of(second)
            assert other != core and {core, other} <= ours
        with ExecutionMachine.create(None, Counter, workers=len(ours)) as third:
            assert cores_of(third) == [ours] * len(ours)  # there are not so many free ones: it owns none
    with ExecutionMachine.create(None, Counter, workers=len(ours)) as fourth:
        assert sorted(core for cores in cores_of(fourth) for core in cores) == sorted(ours)


def test_claims_go_with_their_process(own_names: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from ioi_exec.execution.workers import pinning; pinning.NAME = sys.argv[1].replace('@', chr(0))\n"
         "claims = pinning.Claims(); claims.take(1); print(flush=True); sys.stdin.read()", own_names.replace("\0", "@")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdin is not None
    with holder.stdin, holder.stdout:
        holder.stdout.readline()
        claims = Claims()
        with pytest.raises(Unpinned, match="other engines have 1 of"):
            claims.take(len(allowed_cores()))
        holder.kill()
        holder.wait()
        assert claims.take(len(allowed_cores())) == allowed_cores()
        claims.release()


@pytest.mark.parametrize("pin, sequential", [(False, False), (True, False), (False, True)])
def test_what_workers_come_from_may_have_been_put_elsewhere_once(ours: set[int], pin: bool, sequential: bool) -> None:
    """The processes that they are forked from live on, where this one was allowed to run when it began them."""
    os.sched_setaffinity(0, {min(ours)})
    with ExecutionMachine.create(None, Counter, workers=1, pin=False) as machine:
        assert cores_of(machine) == [{min(ours)}]
        os.sched_setaffinity(0, ours)
        with ExecutionMachine.create(None, Counter, workers=1 if sequential else len(ours) + 1, pin=pin) as unpinned:
            unpinned.execute([b"1"] * 400, sequential=sequential)
            assert [os.sched_getaffinity(pid) for pid in unpinned.worker_pids] == [ours] * len(unpinned.worker_pids)


def test_where_the_system_does_not_say_nor_let_choose_it_works_unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_getaffinity", refused)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    assert allowed_cores() == list(range(os.cpu_count() or 1))
    with ExecutionMachine.create(None, Counter) as machine:
        assert machine.workers >= 1 and machine.execute([b"%d" % i for i in range(400)]).failed == 0
