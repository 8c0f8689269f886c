"""Machines over a state in memory, at every worker count."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from ioi_exec import ExecutionMachine

WORKERS = [0, 1, 2, 3, 8]

Make = Callable[..., ExecutionMachine]


@pytest.fixture(params=WORKERS, ids=lambda count: f"workers={count}")
def workers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def make(workers: int, ioi_pools: Any) -> Iterator[Make]:
    """make(vm, genesis, **options): a machine in memory; all machines share their workers."""
    made: list[ExecutionMachine] = []

    def build(vm: Any = "payments", genesis: Any = None, **options: Any) -> ExecutionMachine:
        settings = {"workers": workers, "pin": False, "executors": ioi_pools.executors(), **options}
        made.append(ExecutionMachine.create(None, vm, genesis=genesis, **settings))
        return made[-1]

    yield build
    for machine in made:
        machine.close()
