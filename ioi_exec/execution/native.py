"""The reference for VMs in C: one transaction after another in the calling process, over a plain hash table."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from time import perf_counter

from ioi_shm import run_sequential
from ioi_storage import Writes

from ioi_exec.block.decided import packed
from ioi_exec.block.hook import Hook
from ioi_exec.block.measured import Measured
from ioi_exec.block.progress import AloneProgress, OnProgress
from ioi_exec.block.receipt import DONE, Receipts
from ioi_exec.block.result import Stats
from ioi_exec.execution.executor import BaseState, Block, OnReceipt, Outcome
from ioi_exec.execution.faults import hook_failed, transaction_fault
from ioi_exec.execution.settings import HERE, StatedSettings, not_here
from ioi_exec.execution.transaction import refused
from ioi_exec.limits import Limits
from ioi_exec.vm.loading import LoadedVM


class NativeSequentialExecutor:
    """An Executor without processes or speculation, for a VM that has a native form.

    cached: look into the cache of committed values first, and keep there what had to be read. The oracle of tests does not."""

    worker_pids: tuple[int, ...] = ()
    arena_bytes = 0

    def __init__(self, vm: LoadedVM, limits: Limits, cached: bool = False) -> None:
        self._vm = vm
        self._limits = limits
        self._cached = cached
        self._verify = vm.verifier()
        self._settings = StatedSettings()  # in force around that
        self._alone = self._verify is not None or vm.check or vm.query  # which other threads may ask

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        began = perf_counter()
        context = block.context
        progress = AloneProgress(on_progress, len(block.txs))
        lookup = base.lookup() if self._cached and block.txs else None
        settings = self._settings

        def report(executed: int) -> None:
            with settings.away() if self._verify is not None else not_here() if self._alone else nullcontext():
                progress.at(executed)

        alone = HERE if self._alone else nullcontext()
        stated = settings if self._verify is not None else nullcontext()
        with alone, stated:
            writes, blob, ends, packed_end, busy_ns, each_ns = run_sequential(
                self._vm.native,
                block.txs,
                self._limits.of_transaction(),
                base.getmulti if lookup is None else lookup.getmulti,
                height=context.height,
                time_ns=context.time_ns,
                proposer=context.proposer,
                extra=context.extra,
                parent_root=context.parent_root,
                chain_id=context.chain_id.encode(),
                decided=packed(context.votes, context.misbehaviour),
                hook=block.hook if self._vm.has(block.hook) else Hook.NONE,
                report=None if on_progress is None else report,
                cache=None if lookup is None else lookup.cache,
                range=base.scan,
                check=None if self._verify is None else self._check,
            )
        if lookup is not None:
            lookup.keep()
        receipts = Receipts(blob, ends)
        executed = perf_counter()
        if on_receipt is not None:
            for index, receipt in enumerate(receipts):
                on_receipt(index, receipt)
        end = Receipts(packed_end, struct.pack("<Q", len(packed_end)))[0] if packed_end else DONE
        if not end.ok:
            raise hook_failed(block.hook, len(block.txs), end.error)
        progress.end()
        stats = Stats(policy=block.policy.name, executions=len(block.txs), busy_seconds=[busy_ns / 1e9])
        stats.seconds = {"execute": executed - began}
        return Outcome(Writes(*writes), receipts, stats, Measured(alone=each_ns), end=end)

    def _check(self, tx_index: int, tx: bytes) -> tuple[int, bytes, bool] | None:
        """None: the transaction may be executed. Else the code and text of its receipt. Raises VMFault."""
        assert self._verify is not None
        receipt, fault = refused(self._verify, tx, self._limits)
        self._settings.renew()
        if fault is not None:
            if issubclass(type(fault), KeyboardInterrupt):
                raise fault  # the user's, not the VM's
            raise transaction_fault(tx_index, fault) from fault
        return None if receipt is None else (receipt.code, receipt.error.encode(), False)

    def close(self) -> None:
        """Nothing to end."""
