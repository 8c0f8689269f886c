"""Cross-checking a block: what a VM does wrong that no schedule need ever show.

Each transaction is executed again in a process forked for it, twice, and all that in two processes with other hash seeds, time
zones, clocks and addresses than the workers. Whatever differs depends on what it must not: on what the VM kept, the order of a set,
time, chance, the process, or how often it was executed.
"""

from __future__ import annotations

import select
import socket
from typing import Any, Iterator, Sequence

import ioi_storage

from ioi_exec.block.progress import OnProgress
from ioi_exec.block.receipt import Receipt
from ioi_exec.block.wording import in_hex, receipt_text
from ioi_exec.errors import Diverged, Error, ResourceError, StaleResult, VMFault
from ioi_exec.execution.cross_check.messages import Checked, Execution
from ioi_exec.execution.executor import BaseState, Block, Executor, OnReceipt, Outcome
from ioi_exec.execution.faults import ALONE_PATIENCE, named
from ioi_exec.execution.native import NativeSequentialExecutor
from ioi_exec.execution.one_by_one.messages import Task
from ioi_exec.execution.workers.control import Complaint, Setup, channel_pair, receive, send
from ioi_exec.execution.workers.starting import CHANNEL_SECONDS, Process, ProcessLost, in_starter
from ioi_exec.execution.workers.templates import Template, Templates
from ioi_exec.limits import Limits
from ioi_exec.state.base import translated_by_name
from ioi_exec.vm.loading import LoadedVM

HASH_SEEDS = (1, 2)  # of the two processes; workers have another
_TRIES = 3  # of processes that are killed from outside

_How = tuple[str, str, str]
"""The two executions, and what the VM depends on if they differ."""

_TWICE = (
    "executed in a fresh process", "executed once more in the same process",
    "what it kept from the former execution (in itself, its class, its module, what `decode` made), time or chance",
)
_OTHER = (
    "executed in a fresh process", "in another, with another hash seed and time zone", "the order of a set, the process, time or chance",
)
_BLOCK = (
    "in the block", "executed again in a fresh process",
    "what it kept from an earlier transaction, the order of a set, the process, time or chance",
)


class CrossCheckFailed(Diverged):
    """A transaction gave another result when it was executed again.

    tx_index: which (the number of transactions: `end_block`; -1: a hook before the first). key: what it wrote otherwise; None: its receipt differs.
    first, second: the key's values (None: absent or deleted), or the receipts.
    """

    def __init__(self, message: str, tx_index: int, key: bytes | None, first: object, second: object) -> None:
        super().__init__(message)
        self.tx_index = tx_index
        self.key = key
        self.first = first
        self.second = second


class CheckedExecutor:
    """An Executor that lets another one execute, and cross-checks what came of it before anyone gets it."""

    def __init__(self, executor: Executor, vm: LoadedVM, limits: Limits, templates: Templates) -> None:
        self._executor = executor
        self._vm = vm
        self._limits = limits
        # What the VM is, before it executes in this process and may change it.
        self._templates = () if vm.native is not None else tuple(templates.get(vm, seed) for seed in HASH_SEEDS)

    @property
    def worker_pids(self) -> tuple[int, ...]:
        return self._executor.worker_pids

    @property
    def arena_bytes(self) -> int:
        return self._executor.arena_bytes

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        """Raises CrossCheckFailed too."""
        outcome = self._executor.run(block, base, on_receipt, on_progress)
        if self._vm.native is not None:
            alone = NativeSequentialExecutor(self._vm, self._limits).run(block, base, None)
            _check_whole(block, outcome, list(alone.receipts), alone.writes, {})
        else:
            cross_check(self._vm, self._limits, self._templates, block, base, outcome)
        return outcome

    def close(self) -> None:
        self._executor.close()


def cross_check(
    vm: LoadedVM, limits: Limits, templates: Sequence[Template], block: Block, base: BaseState, outcome: Outcome
) -> None:
    """Raises CrossCheckFailed, VMError, VMFault, ResourceError, StaleResult."""
    for _ in range(_TRIES):
        try:
            return _cross_check(vm, limits, templates, block, base, outcome)
        except ProcessLost as error:
            lost = error
    raise ResourceError(f"the processes of a cross-check ended {_TRIES} times: {lost}. Look for what kills them")


def _cross_check(
    vm: LoadedVM, limits: Limits, templates: Sequence[Template], block: Block, base: BaseState, outcome: Outcome
) -> None:
    checkers: list[_Checker] = []
    try:
        for template in templates:
            checkers.append(_Checker(template, limits, block, base))
        written: dict[bytes, tuple[int, bytes | None]] = {}
        count = len(block.txs)
        for index in range(count + vm.has(block.hook)):
            one, other = (checker.next(index) for checker in checkers)
            if index < count:
                _same(index, block, _BLOCK, Execution(outcome.receipts[index], one.first.writes), one.first)
            for pair, how in (((one.first, one.second), _TWICE), ((other.first, other.second), _TWICE)):
                _same(index, block, how, *pair)
            _same(index, block, _OTHER, one.first, other.first)
            if one.first.fault:
                raise VMFault(index, f"{named(index, len(block.txs), block.hook)} stopped the cross-check: {one.first.fault}")
            written.update((key, (index, value)) for key, value in one.first.writes)
        writes = [(key, value) for key, (_, value) in sorted(written.items())]
        _check_whole(block, outcome, None, writes, {key: index for key, (index, _) in written.items()})
    finally:
        for checker in checkers:
            checker.close()


class _Checker:
    """One of the two processes, at a block."""

    def __init__(self, template: Template, limits: Limits, block: Block, base: BaseState) -> None:
        template.prepare()
        self._patience = ALONE_PATIENCE * limits.stall_seconds
        self._process: Process | None = None
        self._channel, theirs = channel_pair()
        try:
            with theirs:
                in_starter(lambda: self._start(template, theirs))
            self._channel.settimeout(CHANNEL_SECONDS)
            template.wait_for(self._channel)
            overlay = base.overlay_writes()
            self._tell(Setup(1, base.reader_spec(), limits), base.inherit_fds())
            self._tell(Task(1, base.store_stand, overlay, list(block.txs), block.context, False, hook=block.hook), [])
        except BaseException:
            self.close()
            raise

    def next(self, index: int) -> Checked:
        """The next transaction's. Raises ProcessLost, VMFault, ioi_exec.Error."""
        waiting = select.poll()
        waiting.register(self._channel, select.POLLIN)
        if not waiting.poll(self._patience * 1000):
            raise VMFault(index, f"transaction {index} does not come to an end when it is executed again")
        try:
            answer: Checked | Complaint = receive(self._channel)[0]
        except (EOFError, OSError) as error:
            raise ProcessLost("it ended in the middle of a block") from error
        if isinstance(answer, Complaint):
            if answer.error == ioi_storage.NumberTaken.__name__:
                raise ProcessLost(answer.text)  # another one has another number
            raise _failure(answer)
        return answer

    def close(self) -> None:
        self._channel.close()
        if self._process is not None:
            self._process.close()

    def _start(self, template: Template, theirs: socket.socket) -> None:
        self._process = template.fork("cross-check", (), [theirs.fileno()])

    def _tell(self, message: object, fds: list[int]) -> None:
        try:
            send(self._channel, message, fds)
        except OSError as error:
            raise ProcessLost("it takes no messages") from error


def _failure(complaint: Complaint) -> Error:
    if complaint.kind == "storage":
        return translated_by_name(complaint.error, complaint.text)
    return StaleResult(f"{complaint.text}: execute the block again")


def _check_whole(
    block: Block, outcome: Outcome, receipts: list[Receipt] | None, writes: Sequence[tuple[bytes, bytes | None]],
    writers: dict[bytes, int],
) -> None:
    """What the block came to against what was executed again; `writers` names who wrote a key last."""
    for index, again in enumerate(receipts or ()):
        _same(index, block, _BLOCK, Execution(outcome.receipts[index], []), Execution(again, []))
    for key, here, there in _differences(outcome.writes, writes):
        index = writers.get(key, len(block.txs))
        raise _failed(index, block, _BLOCK, key, here, there)


def _same(index: int, block: Block, how: _How, one: Execution, other: Execution) -> None:
    if one.fault != other.fault:
        raise _failed(index, block, how, None, one.fault or one.receipt, other.fault or other.receipt)
    for key, here, there in _differences(one.writes, other.writes):
        raise _failed(index, block, how, key, here, there)
    if one.receipt != other.receipt:
        raise _failed(index, block, how, None, one.receipt, other.receipt)


_MISSING: Any = object()


def _differences(
    one: Sequence[tuple[bytes, bytes | None]], other: Sequence[tuple[bytes, bytes | None]]
) -> Iterator[tuple[bytes, object, object]]:
    if one == other:
        return
    left, right = dict(one), dict(other)
    for key in sorted(left.keys() | right.keys()):
        here, there = left.get(key, _MISSING), right.get(key, _MISSING)
        if here != there:
            yield key, "not written" if here is _MISSING else here, "not written" if there is _MISSING else there


def _failed(
    index: int, block: Block, how: _How, key: bytes | None, first: object, second: object
) -> CrossCheckFailed:
    what = "its receipt" if key is None else f"key {in_hex(key)}"
    width = max(map(len, how[:2]))
    return CrossCheckFailed(
        f"cross-check: {named(index, len(block.txs), block.hook)} does not always give the same result, of {what}:\n"
        f"  {how[0]:<{width}}  {_shown(first)}\n  {how[1]:<{width}}  {_shown(second)}\n"
        f"The VM depends on {how[2]}. Nothing was staged",
        index, key, first, second,
    )


def _shown(value: object) -> str:
    if value is None:
        return "deleted"
    if isinstance(value, bytes):
        return in_hex(value)
    return receipt_text(value) if isinstance(value, Receipt) else str(value)
