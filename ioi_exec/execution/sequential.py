"""Execution one by one in this process: the reference that parallel execution must equal.

The stated settings (settings.py) are in force around the VM, and what the caller had is around its callbacks.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from time import perf_counter, perf_counter_ns
from typing import Any

from ioi_shm import Plain

from ioi_exec.block.context import TxContext
from ioi_exec.block.measured import Measured
from ioi_exec.block.progress import AloneProgress, OnProgress
from ioi_exec.block.receipt import DONE, PackedReceipts, Receipt, Receipts
from ioi_exec.block.result import Stats
from ioi_exec.errors import LimitExceeded
from ioi_exec.execution.executor import Block, OnReceipt, Outcome, Readable
from ioi_exec.execution.faults import hook_fault, transaction_fault
from ioi_exec.execution.settings import HERE, StatedSettings
from ioi_exec.execution.signals import SeenSignals
from ioi_exec.execution.transaction import Abandoned, HookCall, kept, run_hook, run_transaction
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM

TRACEBACK_BYTES = 8192


class SequentialExecutor:
    """An Executor without processes, shared memory or speculation: a debugger steps right into the VM."""

    worker_pids: tuple[int, ...] = ()
    arena_bytes = 0

    def __init__(self, vm: LoadedVM, limits: Limits, tracebacks: int = 0) -> None:
        """tracebacks: so many failed transactions of a block get one, each of at most TRACEBACK_BYTES, whatever `limits` says."""
        self._vm = vm
        self._limits = limits
        self._traced = replace(limits, traceback_bytes=TRACEBACK_BYTES)
        self._tracebacks = self._left = tracebacks
        self._signals = SeenSignals()
        self._settings = settings = StatedSettings()
        of_vm: Any = vm.decoder()

        def decode(tx: bytes) -> Any:  # a frame as in workers, where what it made is kept
            return settings.call(of_vm, tx)

        self._decode = None if of_vm is None else decode

    def run(
        self, block: Block, base: Readable, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        began = perf_counter()
        self._left = self._tracebacks
        plain = Plain(self._limits.of_transaction(), base.get, base.scan, LimitExceeded, Abandoned)
        packed = PackedReceipts()
        each_ns = array("Q")
        progress = AloneProgress(on_progress, len(block.txs))
        with HERE, self._signals as signals, self._settings as settings:
            for tx_index, tx in enumerate(block.txs):
                started = perf_counter_ns()
                receipt = self.transaction(tx, plain, block.context.of_transaction(tx_index))
                settings.renew()
                each_ns.append(perf_counter_ns() - started)
                packed.append(receipt)
                if on_receipt is not None or progress.due:
                    with settings.away():
                        try:
                            signals.take()
                            if on_receipt is not None:
                                on_receipt(tx_index, receipt)
                            progress.at(tx_index + 1)
                        finally:
                            signals.wait = True
            receipts = packed.finish()
            executed = perf_counter()
            end = self.hook(block, plain, receipts)
        ended = perf_counter()
        progress.end()
        stats = Stats(policy=block.policy.name, executions=len(block.txs), busy_seconds=[ended - began])
        stats.seconds = {"execute": executed - began, block.hook.method: ended - executed}
        return Outcome(plain.batch(), receipts, stats, Measured(alone=each_ns.tobytes()), end=end)

    def close(self) -> None:
        """Nothing to end."""

    def transaction(self, tx: bytes, plain: Plain, ctx: TxContext) -> Receipt:
        """Execute one transaction; a failed one writes nothing. Raises VMFault, or what reading the state or a signal handler
        of the program raised."""
        self._signals.raised = None
        try:
            self._signals.take()
            limits = self._traced if self._left else self._limits
            receipt, fault = run_transaction(plain, plain.begin(), self._vm.instance, self._decode, tx, ctx, limits, self._vm.ante)
        finally:
            self._signals.wait = True
        if self._signals.raised is not None:
            raise self._signals.raised  # whatever the VM made of it
        if plain.broken is not None:
            raise plain.broken
        if fault is not None:
            try:
                if issubclass(type(fault), KeyboardInterrupt):
                    raise fault  # the user's, not the VM's
                raise transaction_fault(ctx.tx_index, fault) from fault
            finally:
                del fault  # this frame is in its traceback
        if self._left and receipt.traceback:
            self._left -= 1
        receipt, keys = kept(plain, receipt)
        if keys:
            self.wrote(ctx.tx_index, keys)
        return receipt

    def wrote(self, tx_index: int, keys: list[bytes]) -> None:
        """What a transaction has written, for those who want to know."""

    def hook(self, block: Block, plain: Plain, receipts: Receipts) -> Receipt:
        """Let the VM end the block on top of its transactions' writes. Raises VMFault, or what reading the state raised."""
        if not self._vm.has(block.hook):
            return DONE
        self._signals.raised = None
        try:
            self._signals.take()
            call = HookCall(block.hook, block.context, block.txs, receipts)
            end, fault = run_hook(plain, plain.begin(), self._vm, call)
        finally:
            self._signals.wait = True
        if self._signals.raised is not None:
            raise self._signals.raised
        if plain.broken is not None:
            raise plain.broken
        if fault is not None:
            try:
                if issubclass(type(fault), KeyboardInterrupt):
                    raise fault
                raise hook_fault(block.hook, len(block.txs), fault) from fault
            finally:
                del fault
        return kept(plain, end)[0]
