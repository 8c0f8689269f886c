"""Execution one by one in this process: the reference that parallel execution must equal.

The stated settings (settings.py) are in force around the VM, and what the caller had is around its callbacks.
"""

from __future__ import annotations

from array import array
from time import perf_counter, perf_counter_ns

from ioi_exec.block.context import TxContext
from ioi_exec.block.measured import Measured
from ioi_exec.block.progress import AloneProgress, OnProgress
from ioi_exec.block.receipt import PackedReceipts, Receipt, Receipts
from ioi_exec.block.result import Stats
from ioi_exec.execution.executor import BaseState, Block, OnReceipt, Outcome
from ioi_exec.execution.faults import (
    done_receipt,
    end_block_fault,
    failed_receipt,
    transaction_fault,
)
from ioi_exec.execution.overlay import Overlay, WriteSet
from ioi_exec.execution.settings import StatedSettings, apart
from ioi_exec.execution.view import TxView
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM


class SequentialExecutor:
    """An Executor without processes, shared memory or speculation: a debugger steps right into the VM."""

    worker_pids: tuple[int, ...] = ()

    def __init__(self, vm: LoadedVM, limits: Limits) -> None:
        self._vm = vm
        self._limits = limits

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        began = perf_counter()
        overlay = Overlay(base)
        packed = PackedReceipts()
        each_ns = array("Q")
        progress = AloneProgress(on_progress, len(block.txs))
        with StatedSettings() as settings:
            for tx_index, tx in enumerate(block.txs):
                started = perf_counter_ns()
                receipt, writes = self.transaction(tx, overlay, block.context.of_transaction(tx_index))
                settings.renew()
                overlay.apply(writes)
                each_ns.append(perf_counter_ns() - started)
                packed.append(receipt)
                if on_receipt is not None or progress.due:
                    with settings.away():
                        if on_receipt is not None:
                            on_receipt(tx_index, receipt)
                        progress.at(tx_index + 1)
            receipts = packed.finish()
            executed = perf_counter()
            run_end_block(self._vm, self._limits, block, overlay, receipts)
        ended = perf_counter()
        progress.end()
        stats = Stats(policy=block.policy.name, executions=len(block.txs), busy_seconds=[ended - began])
        stats.seconds = {"execute": executed - began, "end_block": ended - executed}
        return Outcome(overlay.batch(), receipts, stats, Measured(alone=each_ns.tobytes()))

    def close(self) -> None:
        """Nothing to end."""

    def transaction(self, tx: bytes, overlay: Overlay, ctx: TxContext) -> tuple[Receipt, WriteSet]:
        """Execute one transaction on the overlay; a failed one writes nothing.

        Raises VMFault, or what reading the state raised.
        """
        vm = self._vm
        view = TxView(overlay, self._limits)
        try:
            decoded = apart(vm.instance.decode, tx) if vm.decode else tx
            receipt = done_receipt(apart(vm.instance.execute, decoded, view, ctx), self._limits)
        except KeyboardInterrupt:
            raise  # the user's, not the VM's
        except BaseException as error:
            if view.fault is not None:
                raise view.fault from None
            failed = failed_receipt(error)
            if failed is None:
                raise transaction_fault(ctx.tx_index, error) from error
            return failed, {}
        finally:
            view.close()
        if view.fault is not None:  # the VM went on as if nothing had happened
            raise view.fault
        return receipt, view.writes


def run_end_block(vm: LoadedVM, limits: Limits, block: Block, overlay: Overlay, receipts: Receipts) -> None:
    """Let the VM end the block on top of its transactions' writes. Raises VMFault, or what reading the state raised."""
    if not vm.end_block:
        return
    view = TxView(overlay, limits)
    try:
        apart(vm.instance.end_block, view, block.context.of_end(block.txs), receipts)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if view.fault is not None:
            raise view.fault from None
        raise end_block_fault(len(block.txs), error) from error
    finally:
        view.close()
    if view.fault is not None:
        raise view.fault
    overlay.apply(view.writes)
