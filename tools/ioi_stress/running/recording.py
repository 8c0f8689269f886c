"""One block of a workload, recorded on the state that the blocks before it leave."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Mapping

import numpy as np

from ioi_exec import BlockResult, Diverged, ExecutionMachine, InputError
from ioi_exec.block.record import Record
from ioi_exec.execution.executors import SharedPools
from ioi_stress.notation.text import counted
from ioi_stress.plan import Plan
from ioi_stress.results.interval import Interval
from ioi_stress.running.difference import difference
from ioi_stress.running.state import created
from ioi_stress.tracing.names import namer
from ioi_stress.tracing.timeline import PREEMPTED, Ints, Timeline
from ioi_stress.workload import Block, Workload


@dataclass
class Recording:
    """A recorded execution of a block, and how long it took every time: seconds in which transactions ran, staging not
    counted.

    confirmed: what else the block's results were held against, if anything.
    result: of the execution whose record this is, the quickest of all that were recorded. records: of all of them. parallel:
    without recording.

    What is made of these is the least of each, on both sides of every ratio: a machine that does something else besides makes
    things slower and never faster, and the least of some is compared with the least of as many.
    """

    workload: Workload
    number: int
    plan: Plan
    result: BlockResult
    record: Record
    records: list[Record] = field(default_factory=list)
    sequential: list[float] = field(default_factory=list)
    parallel: list[float] = field(default_factory=list)
    recorded: list[float] = field(default_factory=list)
    confirmed: str = ""

    def work(self) -> Ints:
        """By TxIndex, end_block last: nanoseconds of the execution that counts, without waits, fetches and preemptions; of
        each the least of all records."""
        least: Ints = np.min([Timeline.of(record).work() for record in self.records], axis=0)
        return least

    def timeline(self) -> Timeline:
        """Of `record`, with keys called as its VM has them."""
        return Timeline.of(self.record, namer(self.workload.vm, self.record.keys))

    @property
    def title(self) -> str:
        failed = f" ({self.result.failed:,} failed)" if self.result.failed else ""
        return (
            f"{self.workload.name}: block {self.number}, {counted(self.record.transactions, 'transaction')}{failed}, "
            f"{counted(self.record.workers, 'worker')}, policy {self.plan.policy.name}"
            + (f"\n{self.confirmed}" if self.confirmed else "")
        )

    @property
    def speedup(self) -> float:
        """One by one over in parallel, not recorded."""
        return min(self.sequential) / max(min(self.parallel), 1e-12)

    def preempted(self) -> float:
        """The part of the workers' time in which other processes had their cores, in all records."""
        timelines = [Timeline.of(record) for record in self.records]
        lost = sum(int(timeline.shares()[PREEMPTED].sum()) for timeline in timelines)
        return lost / max(sum(timeline.duration * timeline.record.workers for timeline in timelines), 1)

    def cost(self) -> Interval:
        """Of recording: time with it over time without, from pairs of executions that followed each other."""
        return Interval.of(on / max(off, 1e-12) for on, off in zip(self.recorded, self.parallel))


def record_block(workload: Workload, number: int, plan: Plan) -> Recording:
    """Execute block `number` (from 0 on) plan.warmup times, and then plan.repeat times each one by one, in parallel,
    and recorded.

    Every execution is compared with the first one by one. Raises Diverged if one differs, InputError if there is no
    such block or nothing to record, and the engine's errors.
    """
    if plan.workers == 0:
        raise InputError(
            "workers is 0: that executes one by one in this process, where there is no schedule to record: give at least 1"
        )
    pools = SharedPools()
    with closing(pools):
        with created(workload, plan, pools, workload.genesis()) as machine:
            block = _reached(machine, workload, number)
            return _recorded(machine, block, Recording(workload, number, plan, *_first(machine, block)))


def _reached(machine: ExecutionMachine, workload: Workload, number: int) -> Block:
    count = 0
    for index, block in enumerate(workload.blocks()):
        if index == number:
            if not block.txs:
                raise InputError(f"block {number} of {workload.name} has no transactions: there is nothing to record")
            return block
        machine.commit(machine.execute(block.txs, block.header))
        count = index + 1
    raise InputError(f"there is no block {number}: {workload.name} has {counted(count, 'block')}, from 0 on")


def _first(machine: ExecutionMachine, block: Block) -> tuple[BlockResult, Record]:
    """Something to begin with; it also makes the workers ready."""
    result = machine.execute(block.txs, block.header, record=True)
    return result, _of(result)


def _recorded(machine: ExecutionMachine, block: Block, recording: Recording) -> Recording:
    expected = machine.execute(block.txs, block.header, sequential=True)
    _check(recording, recording.result, expected)
    if block.confirm is not None:
        recording.confirmed = block.confirm(expected)
    for _ in range(recording.plan.warmup):
        _check(recording, machine.execute(block.txs, block.header), expected)
    kept: list[tuple[float, BlockResult]] = []
    for turn in range(recording.plan.repeat):
        recording.sequential.append(executing(machine.execute(block.txs, block.header, sequential=True).stats.seconds))
        # Recorded first and not recorded first, in turns: whoever comes second finds warmer caches.
        for record in (False, True) if turn % 2 else (True, False):
            result = machine.execute(block.txs, block.header, record=record)
            _check(recording, result, expected)
            seconds = executing(result.stats.seconds)
            (recording.recorded if record else recording.parallel).append(seconds)
            if record:
                kept.append((seconds, result))
    kept.sort(key=lambda each: each[0])
    recording.result = kept[0][1]
    recording.record = _of(recording.result)
    recording.records = [_of(result) for _, result in kept]
    return recording


def executing(seconds: Mapping[str, float]) -> float:
    """The phases that run transactions: those that the number of workers can change."""
    return seconds.get("execute", 0.0) + seconds.get("end_block", 0.0)


def _of(result: BlockResult) -> Record:
    record: Record | None = result.record
    if record is None:
        raise InputError(f"the block was executed {result.stats.mode}, and nothing was recorded")
    return record


def _check(recording: Recording, result: BlockResult, expected: BlockResult) -> None:
    what = difference(result, expected)
    if what is not None:
        raise Diverged(
            f"block {recording.number} of {recording.workload.name}: {what}; `ioi-stress run` writes a file that "
            "shows it again"
        )
