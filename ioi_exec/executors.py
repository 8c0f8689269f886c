"""The executors of a machine: made when first needed, closed with their owner."""

from __future__ import annotations

from typing import Protocol

from ioi_exec.executor import Executor
from ioi_exec.limits import Limits
from ioi_exec.sequential import SequentialExecutor
from ioi_exec.vm.loading import LoadedVM


class Executors(Protocol):
    """Where a machine gets its executors: its own, or those a test session shares."""

    def get(self, vm: LoadedVM, limits: Limits, workers: int, pin: bool) -> Executor:
        """An executor on `workers` processes; 0: in this one."""

    def release(self) -> None:
        """The machine is closed."""


class OwnExecutors:
    """At most one sequential and one parallel executor, for one machine."""

    def __init__(self) -> None:
        self._made: dict[int, Executor] = {}

    def get(self, vm: LoadedVM, limits: Limits, workers: int, pin: bool) -> Executor:
        if workers not in self._made:
            self._made[workers] = make_executor(vm, limits, workers, pin)
        return self._made[workers]

    def release(self) -> None:
        while self._made:
            self._made.popitem()[1].close()


def make_executor(vm: LoadedVM, limits: Limits, workers: int, pin: bool) -> Executor:
    if workers == 0:
        return SequentialExecutor(vm, limits)
    from ioi_exec.parallel import ParallelExecutor  # only here: sequential machines need no shared memory

    return ParallelExecutor(vm, limits, workers, pin)
