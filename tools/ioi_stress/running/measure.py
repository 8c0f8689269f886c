"""Runs a workload as a plan says, and keeps what every block of every repetition took.

Every repetition begins with a fresh state and ends with the last block committed, so that all of them do the same to the same
files: going back with `rollback` would leave free pages that the next repetition's commits use, and costs more besides (75 us a
write, against 4 us a key of the genesis). The workers live on between repetitions; they load the VM and open the new state
before the clock starts.

A block that is also executed one by one is so on the same committed state, right before or right after, in turns: whatever else
the machine is doing then slows both down, and whoever comes second finds the page cache as warm.
"""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Callable, Iterable, Iterator, Protocol

from ioi_exec import BlockHeader, BlockResult, Error, ExecutionMachine, InputError, InputTypeError, Progress, VMFault
from ioi_exec.arguments import function, wrong_type
from ioi_exec.execution.executors import SharedPools
from ioi_stress.interruption import held
from ioi_stress.plan import Plan
from ioi_stress.results.result import BlockMeasurement, Repetition, Result
from ioi_stress.running.difference import Mismatch, Roots, difference, roots_differ, roots_of
from ioi_stress.running.machine_facts import machine_facts
from ioi_stress.running.memory import MemoryWatch
from ioi_stress.running.state import closed, created, free_directory
from ioi_stress.workload import Block, Workload, lacking

KEPT_BYTES = 256 << 20  # of transactions: more are made anew in every repetition


class Observer(Protocol):
    """Who watches a run. Called in the thread that measures, never while the clock runs, `progress` apart."""

    def began(self, plan: Plan, total_blocks: int | None) -> None:
        """total_blocks: that will be executed, warm-up included; None: not known before the first repetition is over."""

    def progress(self, repetition: int, block: int, progress: Progress) -> None:
        """progress: of the block that is being executed in parallel."""

    def finished(self, repetition: int, block: int, measured: BlockMeasurement) -> None:
        """repetition: 1 to plan.repeat; those of the warm-up come before, 0 the last of them."""


OnMismatch = Callable[[Mismatch], None]


def measure(
    workload: Workload,
    plan: Plan,
    observer: Observer | None = None,
    *,
    pools: SharedPools | None = None,
    on_mismatch: OnMismatch | None = None,
) -> Result:
    """Execute the workload `plan.warmup` + `plan.repeat` times from its genesis on.

    pools: workers to use, which live on afterwards; default: of this call's own. on_mismatch: called with the first block
    that differed from sequential execution (which is committed then, so that later blocks are judged on their own).
    Ctrl-C ends it with what was measured so far and `interrupted`. Whatever ends it, the state is gone and so are the workers.

    Raises the engine's errors: of a block that could not be executed after what came before it was kept, see `measured_before`.
    """
    if missing := lacking(workload):
        raise InputTypeError(
            f"{type(workload).__name__} is no workload: it has no {', '.join(missing)} (ioi_stress.workloads.make makes one by its "
            "name, ioi_stress.FixedWorkload one of a state and blocks)"
        )
    if missing := [name for name in ("began", "progress", "finished") if observer is not None and not hasattr(observer, name)]:
        raise wrong_type("observer", observer, f"an Observer, or None: it has no {', '.join(missing)}")
    if pools is not None and not isinstance(pools, SharedPools):
        raise wrong_type("pools", pools, "SharedPools, or None")
    function("on_mismatch", on_mismatch)
    result = Result({"workload": _described(workload), "run": plan.to_json()}, machine_facts())
    result.verification.wanted = plan.verify
    own = pools is None
    run = _Run(workload, plan, observer, SharedPools() if pools is None else pools, on_mismatch, result)
    try:
        run.all()
    except KeyboardInterrupt:
        result.interrupted = True
    except Error as error:
        result.error = f"{type(error).__name__}: {error}"
        setattr(error, _MEASURED, result)
        raise
    finally:
        try:
            with held():
                if own:
                    run.pools.close()
        except KeyboardInterrupt:
            result.interrupted = True
        if result.interrupted or result.error:
            result.repetitions = [repetition for repetition in result.repetitions if repetition.blocks]
    return result


_MEASURED = "ioi_stress_result"


def measured_before(error: BaseException) -> Result | None:
    """What `measure` had measured when it raised this error."""
    found: Result | None = getattr(error, _MEASURED, None)
    return found


def _described(workload: Workload) -> dict[str, Any]:
    vm = workload.vm
    named = vm if isinstance(vm, str) else vm if isinstance(vm, type) else type(vm)
    shown = named if isinstance(named, str) else f"{named.__module__}:{named.__qualname__}"
    described = {"name": workload.name, "parameters": dict(workload.parameters), "vm": shown, "vm_args": workload.vm_args}
    try:
        json.dumps(described, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"the workload {workload.name}: its parameters are not what JSON can have: {error}") from None
    return described


@dataclass
class _Run:
    workload: Workload
    plan: Plan
    observer: Observer | None
    pools: SharedPools
    on_mismatch: OnMismatch | None
    result: Result
    expected: list[Roots] = field(default_factory=list)
    """The roots of every block as sequential execution had them first."""
    memory: MemoryWatch = field(default_factory=MemoryWatch)

    def all(self) -> None:
        blocks = _Blocks(self.workload)
        each = blocks.count()
        times = self.plan.warmup + self.plan.repeat
        if each == 0:
            raise InputError(f"the workload {self.workload.name} has no blocks: there is nothing to execute")
        if self.observer is not None:
            self.observer.began(self.plan, None if each is None else each * times)
        for number in range(1 - self.plan.warmup, self.plan.repeat + 1):
            repetition = Repetition(number, [])
            if number >= 1:
                self.result.repetitions.append(repetition)
            gc.collect()
            with self._genesis(blocks) as machine:
                for index, block in enumerate(blocks):
                    self._block(machine, repetition, index, block)

    @contextmanager
    def _genesis(self, blocks: Iterable[Block]) -> Iterator[ExecutionMachine]:
        """A machine on a fresh state, ready to execute; nothing is left of it afterwards."""
        with free_directory(self.plan.state):
            machine = created(self.workload, self.plan, self.pools, self.workload.genesis())
            with closed(machine):
                self._wake(machine, blocks)
                yield machine

    def _wake(self, machine: ExecutionMachine, blocks: Iterable[Block]) -> None:
        """Have all workers load the VM and open the state: with the first few transactions, of which nothing is kept."""
        first = next(iter(blocks), None)
        if machine.workers == 0 or first is None:
            return
        enough = max(machine.workers, self.plan.policy.small_block + 1)
        try:
            machine.execute(first.txs[:enough], first.header)
        except VMFault:
            pass  # the block itself will show it

    def _block(self, machine: ExecutionMachine, repetition: Repetition, index: int, block: Block) -> None:
        plan = self.plan
        kept = plan.sequential and machine.workers > 0
        first = plan.verify and index == len(self.expected)
        parallel, sequential = self._executed(machine, repetition.number, index, block, kept, first)
        if plan.verify and block.confirm is not None:
            block.confirm(parallel)
        memory = self.memory.bytes(self._worker_pids(machine))
        chosen = parallel
        if plan.verify:
            what = self._difference(repetition.number, index, parallel, sequential)
            if what is not None:
                chosen = sequential or machine.execute(block.txs, block.header, sequential=True)
                self._report(what, machine, index, block, parallel)
        began = perf_counter()
        machine.commit(chosen)
        committed = perf_counter() - began
        measured = _measurement(index, parallel, committed, sequential if kept else None, memory)
        repetition.blocks.append(measured)
        repetition.peak_memory_bytes = max(repetition.peak_memory_bytes, memory)
        if self.observer is not None:
            self.observer.finished(repetition.number, index, measured)

    def _executed(
        self, machine: ExecutionMachine, repetition: int, index: int, block: Block, kept: bool, first: bool
    ) -> tuple[BlockResult, BlockResult | None]:
        """The block in parallel and one by one. kept: whether the latter is a measurement; else it follows, if it is needed."""

        def one_by_one() -> BlockResult:
            return machine.execute(block.txs, block.header, sequential=True)

        sequential = one_by_one() if kept and (repetition + index) % 2 else None
        observer = self.observer
        on_progress = None if observer is None else partial(observer.progress, repetition, index)
        parallel = machine.execute(block.txs, block.header, on_progress=on_progress)
        if sequential is None and (kept or first):
            sequential = one_by_one()
        return parallel, sequential

    def _difference(self, repetition: int, index: int, parallel: BlockResult, sequential: BlockResult | None) -> str | None:
        """Compare, and count it. What differs, if anything."""
        verification = self.result.verification
        verification.executed += 1
        where = f"block {index}, repetition {repetition}"
        if sequential is not None:
            roots = roots_of(sequential)
            if index == len(self.expected):
                self.expected.append(roots)
            elif roots != self.expected[index]:
                verification.mismatches.append(
                    f"{where}: sequential execution ended with other roots than the time before: the VM is not deterministic"
                )
                self.expected[index] = roots
        verification.compared += 1
        what = difference(parallel, sequential) if sequential is not None else roots_differ(roots_of(parallel), self.expected[index])
        return None if what is None else f"{where}: {what}"

    def _report(self, what: str, machine: ExecutionMachine, index: int, block: Block, parallel: BlockResult) -> None:
        mismatches = self.result.verification.mismatches
        mismatches.append(what)
        if self.on_mismatch is not None:
            header = replace(block.header or BlockHeader(), height=parallel.height)
            state = dict(machine.scan())
            mismatch = Mismatch(what, self.workload, self.plan, index, state, Block(list(block.txs), header))
            on_mismatch, self.on_mismatch = self.on_mismatch, None
            on_mismatch(mismatch)

    def _worker_pids(self, machine: ExecutionMachine) -> list[int]:
        if machine.workers == 0:
            return []
        return self.pools.get(machine.workers, self.plan.pin, machine.limits.arena_bytes).pids


class _Blocks:
    """A workload's blocks, as often as wanted; kept while they are few."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._kept: list[Block] | None = None

    def count(self) -> int | None:
        """How many there are, if they are few enough to be kept."""
        kept, size = [], 0
        for block in self._workload.blocks():
            kept.append(block)
            size += sum(len(tx) for tx in block.txs if isinstance(tx, bytes))  # the engine refuses all else
            if size > KEPT_BYTES:
                return None
        self._kept = kept
        return len(kept)

    def __iter__(self) -> Iterator[Block]:
        return self._workload.blocks() if self._kept is None else iter(self._kept)


def _measurement(
    index: int, parallel: BlockResult, committed: float, sequential: BlockResult | None, memory: int
) -> BlockMeasurement:
    stats = parallel.stats
    state_root, receipts_root = roots_of(parallel)
    return BlockMeasurement(
        block=index,
        transactions=parallel.transactions,
        failed=parallel.failed,
        mode=stats.mode,
        policy=stats.policy,
        workers=stats.workers,
        executions=stats.executions,
        validations=stats.validations,
        aborts=stats.aborts,
        suspensions=stats.suspensions,
        retries=stats.retries,
        seconds=dict(stats.seconds),
        commit_seconds=committed,
        busy_seconds=list(stats.busy_seconds),
        sequential_seconds=None if sequential is None else dict(sequential.stats.seconds),
        state_root=state_root,
        receipts_root=receipts_root,
        memory_bytes=memory,
    )
