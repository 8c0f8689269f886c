"""The state that a workload is executed on: made for it, and gone afterwards."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import Iterator, Mapping

from ioi_exec import ExecutionMachine, StateError, StateExists
from ioi_exec.execution.executors import SharedPools
from ioi_stress.interruption import held
from ioi_stress.plan import Plan
from ioi_stress.workload import Workload, limits_of


def created(workload: Workload, plan: Plan, pools: SharedPools, genesis: Mapping[bytes, bytes]) -> ExecutionMachine:
    """A machine for the workload's VM on a state of its own, as the plan wants it."""
    return ExecutionMachine.create(
        plan.state, workload.vm, plan.tree, genesis, vm_args=workload.vm_args, workers=plan.workers, pin=plan.pin,
        executors=pools.executors(), policy=plan.policy, limits=limits_of(workload),
    )


@contextmanager
def free_directory(path: str | None) -> Iterator[None]:
    """An empty directory, if one is wanted, which is removed with all that is in it by then; nobody else's ever is."""
    made = False
    try:
        if path is not None:
            with held():
                _make_directory(path)
                made = True
        yield
    finally:
        if path is not None and made:
            with held():
                shutil.rmtree(path, ignore_errors=True)


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        raise StateExists(
            f"{path} is there already: a run makes its state anew and removes it, so give a path that is free"
        ) from None
    except OSError as error:
        raise StateError(f"cannot make a state at {path}: {error.strerror}") from error


@contextmanager
def closed(machine: ExecutionMachine) -> Iterator[None]:
    """`with closed(machine):` it is closed afterwards, whatever comes."""
    try:
        yield
    finally:
        with held():
            machine.close()
