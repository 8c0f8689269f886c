"""The executors of a machine, made when first needed; and worker pools that machines can share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ioi_exec.arguments import wrong_type
from ioi_exec.block.progress import OnProgress
from ioi_exec.execution.executor import BaseState, Block, Executor, OnReceipt, Outcome
from ioi_exec.execution.native import NativeSequentialExecutor
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.execution.settings import check_caller
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM

if TYPE_CHECKING:
    from ioi_exec.execution.parallel import LastResort
    from ioi_exec.execution.workers.pool import Pool
    from ioi_exec.execution.workers.templates import Templates

TRACEBACKS = 100  # of a block at workers=0, where a person looks
TEMPLATES_KEPT = 8  # of shared pools: VMs whose next machine finds its workers a few milliseconds away

# ioi_exec.execution.parallel is imported where it is needed: sequential machines do without shared memory and its modules.


class Executors(Protocol):
    """Where one machine gets its executors."""

    def get(
        self, vm: LoadedVM, limits: Limits, workers: int, pin: bool, *, sequential: bool = False, cross_check: bool = False
    ) -> Executor:
        """An executor on `workers` processes; 0: in this one. sequential: one that executes one by one, a VM in Python in a
        process of its own if there are workers. cross_check: one that also looks whether the VM is deterministic."""

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Of all executors made so far. For any thread."""

    @property
    def arena_bytes(self) -> int:
        """Shared memory that the workers have for blocks. For any thread."""

    def release(self) -> None:
        """The machine is closed."""


def checked_executors(executors: Executors | None) -> Executors:
    """None: executors of its own. Raises InputTypeError."""
    if executors is None:
        return OwnExecutors()
    if not (callable(getattr(executors, "get", None)) and callable(getattr(executors, "release", None))):
        raise wrong_type("executors", executors, "what SharedPools.executors() makes, or None")
    return executors


class OwnExecutors:
    """At most one executor of each kind. pools: whose workers the parallel one uses; None: its own."""

    def __init__(self, pools: SharedPools | None = None) -> None:
        self._pools = pools
        self._templates: Templates | None = None
        self._made: dict[tuple[int, bool], Executor] = {}  # by workers, and whether one by one
        self._checked: dict[tuple[int, bool], Executor] = {}  # the same, cross-checked
        self._vm: LoadedVM | None = None  # which they execute

    def get(
        self, vm: LoadedVM, limits: Limits, workers: int, pin: bool, *, sequential: bool = False, cross_check: bool = False
    ) -> Executor:
        if vm is not self._vm:  # another one has taken over
            self._end()
            self._vm = vm
        if sequential and vm.native is not None:
            workers = 0
        key = workers, sequential and workers > 0
        if key not in self._made:
            self._made[key] = self._make(vm, limits, workers, pin, key[1])
        if not cross_check:
            return self._made[key]
        if key not in self._checked:
            from ioi_exec.execution.cross_check.check import CheckedExecutor

            self._checked[key] = CheckedExecutor(self._made[key], vm, limits, self.templates())
        return self._checked[key]

    @property
    def worker_pids(self) -> tuple[int, ...]:
        return tuple(pid for executor in list(self._made.values()) for pid in executor.worker_pids)

    @property
    def arena_bytes(self) -> int:
        return sum(executor.arena_bytes for executor in list(self._made.values()))

    def _end(self) -> None:
        while self._made:
            self._made.popitem()[1].close()
        self._checked.clear()

    def release(self) -> None:
        self._end()
        if self._templates is not None:
            self._templates.close()

    def _make(self, vm: LoadedVM, limits: Limits, workers: int, pin: bool, sequential: bool) -> Executor:
        if workers == 0 and vm.native is not None:
            return NativeSequentialExecutor(vm, limits)
        if workers == 0:
            check_caller()
            return SequentialExecutor(vm, limits, TRACEBACKS if limits.traceback_bytes is None else 0)
        if sequential:
            from ioi_exec.execution.one_by_one.executor import SequentialWorkerExecutor

            return SequentialWorkerExecutor(vm, limits, self.templates())
        from ioi_exec.execution.choosing import ChoosingExecutor
        from ioi_exec.execution.parallel import ParallelExecutor

        pool = self._pools.get(workers, pin, limits.arena_bytes) if self._pools is not None else None
        here = NativeSequentialExecutor(vm, limits, cached=True) if vm.native is not None and vm.spec.built_in else None
        last_resort = self._last_resort(vm, limits, workers, pin)
        return ChoosingExecutor(ParallelExecutor(vm, limits, workers, pin, self.templates(), pool, last_resort), here)

    def _last_resort(self, vm: LoadedVM, limits: Limits, workers: int, pin: bool) -> LastResort | None:
        """One by one: in a process that keeps what is done, or here if the VM comes with the engine; a foreign one in C might end
        this process."""
        from ioi_exec.execution.parallel import LastResort

        if vm.native is not None and not vm.spec.built_in:
            return None

        def run(
            block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None, died: Mapping[int | None, int]
        ) -> Outcome:
            from ioi_exec.execution.one_by_one.executor import SequentialWorkerExecutor

            executor = self.get(vm, limits, workers, pin, sequential=True)
            if isinstance(executor, SequentialWorkerExecutor):
                return executor.run(block, base, on_receipt, on_progress, died)
            return executor.run(block, base, on_receipt, on_progress)

        return LastResort(run, apart=vm.native is None)

    def templates(self) -> Templates:
        """Where processes come from: the pools', or one's own."""
        from ioi_exec.execution.workers.templates import Templates

        if self._pools is not None:
            return self._pools.templates()
        if self._templates is None:
            self._templates = Templates()
        return self._templates


class SharedPools:
    """Worker processes for many machines, of whatever VM and state, one after another: a test session has one of these."""

    def __init__(self) -> None:
        self._pools: dict[tuple[int, bool, int | None], Pool] = {}
        self._templates: Templates | None = None

    def get(self, workers: int, pin: bool, arena_bytes: int | None) -> Pool:
        from ioi_exec.execution.workers.pool import Pool

        key = (workers, pin, arena_bytes)
        if key not in self._pools:
            self._pools[key] = Pool(workers, pin, arena_bytes)
        return self._pools[key]

    def templates(self) -> Templates:
        from ioi_exec.execution.workers.templates import Templates

        if self._templates is None:
            self._templates = Templates(most=TEMPLATES_KEPT)
        return self._templates

    def executors(self) -> Executors:
        """For one machine: `ExecutionMachine.create(..., executors=pools.executors())`."""
        return OwnExecutors(self)

    def close(self) -> None:
        """End the workers. Their machines must be closed. Idempotent."""
        while self._pools:
            self._pools.popitem()[1].close()
        if self._templates is not None:
            self._templates.close()
