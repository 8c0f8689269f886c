"""What blocks go through: executed and staged, then committed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import Iterable, Mapping, Sequence

import ioi_storage
from ioi_storage import Writes

from ioi_exec import arguments
from ioi_exec.block.header import BlockHeader, hash_of
from ioi_exec.block.preparation import (
    block_context,
    checked_hints,
    checked_transactions,
    decided_header,
)
from ioi_exec.block.progress import OnProgress
from ioi_exec.block.proposal import Dropped, Proposal, checked_candidates
from ioi_exec.block.result import BlockResult
from ioi_exec.errors import (
    InputError,
    InputTypeError,
    ReadOnly,
    StaleResult,
)
from ioi_exec.execution.executor import Block, OnReceipt
from ioi_exec.execution.executors import Executors
from ioi_exec.execution.hooks import run_block
from ioi_exec.execution.proposing import Proposer
from ioi_exec.execution.signals import of_a_handler
from ioi_exec.limits import Limits
from ioi_exec.machine.reading import Reading
from ioi_exec.policy import Policy
from ioi_exec.state.base import CommittedState, memory_errors, storage_errors
from ioi_exec.state.cache import CommittedCache
from ioi_exec.state.identity import Identity
from ioi_exec.state.kept import body_of
from ioi_exec.state.opening import Accept, checked_policy
from ioi_exec.state.staging import Staging
from ioi_exec.vm.loading import LoadedVM


class Blocks(Reading):
    """Executes blocks on the committed state, and commits them."""

    def __init__(
        self, store: ioi_storage.Store, identity: Identity, vms: dict[int, LoadedVM], limits: Limits, workers: int, pin: bool,
        executors: Executors, policy: Policy, accept: Accept,
        cross_check: bool = False, receipts: bool = False,
    ) -> None:
        """Use `create` or `open`."""
        super().__init__(store, identity, vms, limits, accept)
        self._workers = workers
        self._pin = pin
        self._executors = executors
        self._policy = policy
        self._cross_check = cross_check
        self._receipts = receipts
        self._staging = Staging(workers)
        self._cache = CommittedCache(limits.cache_bytes)

    def execute(
        self,
        txs: Iterable[bytes],
        header: BlockHeader | None = None,
        on_receipt: OnReceipt | None = None,
        *,
        sequential: bool = False,
        policy: Policy | None = None,
        record: bool = False,
        on_progress: OnProgress | None = None,
        hints: Iterable[Iterable[bytes]] | None = None,
        propose: bool | Proposal = False,
    ) -> BlockResult:
        """Execute a block on the committed state and stage it.

        header: default BlockHeader(). Heights only rise: the first block's is the initial height or a higher one, each other's one more
        than that of the block before, which is also the default.
        on_receipt(index, receipt): in order, in this thread, exactly once a transaction. It may read the machine.
        sequential: one by one. A VM in Python then executes in a worker process of its own, as it does in parallel; in this process
        only on a machine with workers=0.
        policy: for this block; None: the machine's.
        record: keep what every worker did and when, and what every transaction read and wrote, as `result.record`. It costs
        about 0.1 us a transaction while the block runs, which made native payments in one worker take 1.15 to 1.3 times as
        long and is lost in the noise for a VM in Python of 10 us or more; 0.1 to 1 us a transaction afterwards, to take it
        out; and some 150 bytes of shared memory. `python -m tools.bench record` measures it. Off, some 20 instructions.
        InputError where there are no workers.
        hints: for each transaction the keys that it will likely touch (a block access list), which are fetched together before workers begin.
        A matter of speed alone: those that are wrong cost a read, and none is needed.
        propose: the transactions are candidates: those that fault, or that `ante` refuses, are dropped, and the block ends before the first
        that no longer fits by gas, bytes (`Proposal`) or time. What is staged is the block of `result.included`, which gives the same root and
        receipts when it is executed without `propose`. Then on_receipt is told of those, at the end.
        on_progress(progress): about every 50 ms in this thread, and once at the end. What it raises stops the block.
        Raises InputTypeError, InputError or LimitExceeded before anything executes; VMFault; ResourceError.
        """
        for name, callback in (("on_receipt", on_receipt), ("on_progress", on_progress)):
            arguments.function(f"execute: {name}", callback)
        for name, value in (("sequential", sequential), ("record", record)):
            arguments.flag(f"execute: {name}", value)
        proposal = Proposal.said(propose)
        with memory_errors(of_a_handler), self._guard.alone("execute"), ExitStack() as view:
            began = perf_counter()
            store = self._layers[-1]
            with storage_errors():
                view.enter_context(store.pinned())  # what is read here is of one moment, whoever writes beside
                stand, committed = store.stand, store.latest.height
                self._store.look_at_meta()
                if self._store.read_only and (on_receipt or on_progress):  # and what they read is of the same one
                    view.enter_context(self._pinned_at(stand))
            if record and (sequential or self._workers == 0):
                raise InputError(
                    "record: only what worker processes do can be recorded: execute without sequential, on a machine with "
                    "workers=1 or more"
                )
            listed = checked_transactions(txs, self._limits) if proposal is None else checked_candidates(txs)
            header = decided_header(header, committed, first=stand.version == 0)
            context = block_context(header, stand.root, self._identity.chain_id)
            block = Block(listed, context, checked_policy(policy, self._policy), record, checked_hints(hints))
            assert header.height is not None
            self._known()
            vm, identity = self._loaded_vm(header.height), self._identity
            before = identity.index_at(committed)
            migrates = before != identity.index_at(header.height)
            if migrates and vm.from_version != identity.vms[before].vm.version:  # the first block left out heights
                vm = replace(vm, from_version=identity.vms[before].vm.version)
            executor = self._executors.get(
                vm, self._limits, self._workers, self._pin, sequential=sequential, cross_check=self._cross_check
            )
            prepared = perf_counter()
            base = CommittedState(self._layers, self._cache)
            included: Sequence[int] = range(len(listed))
            dropped: Mapping[int, Dropped] = {}
            proposer = None if proposal is None else Proposer(listed, proposal, self._limits)
            outcome = run_block(executor, vm, block, base, on_receipt, on_progress, proposer, migrates)
            if proposer is not None:
                outcome.stats.seconds["propose"] = proposer.earlier_seconds
                included, dropped = proposer.included, proposer.dropped
                listed = [listed[index] for index in included]
            executed = perf_counter()
            if self._limits.gas is not None and self._limits.gas.block_limit is not None:
                self._limits.gas.check_block(receipt.gas_used for receipt in outcome.receipts)
            if proposal is not None and on_receipt is not None:
                for index, receipt in enumerate(outcome.receipts):
                    on_receipt(index, receipt)
            with storage_errors():
                writes = Writes.of(outcome.writes)
                staged, threads = self._staging.stage(store, writes, sequential)
            if staged.parent != stand:
                raise StaleResult(f"{stand.moved_to(staged.parent)} while the block was executed: execute it again")
            staged_at = perf_counter()
            receipts_root = outcome.receipts.root()
            ended = perf_counter()
            seconds = {"prepare": prepared - began, **outcome.stats.seconds}
            seconds.update(stage=staged_at - executed, receipts=ended - staged_at, total=ended - began)
            outcome.stats.seconds = seconds
            outcome.stats.stage_threads = threads
            return BlockResult(
                staged.version, header, staged.root, receipts_root, outcome.receipts, outcome.receipts.failed,
                listed, writes, outcome.stats, outcome.measured, store, staged, outcome.record, outcome.before, outcome.end, included, dropped,
                identity.last_upgrade(header.height),
            )

    def commit(self, result: BlockResult) -> int:
        """Make a staged block durable and return its version. Raises StaleResult, ReadOnly, ResourceError."""
        if not isinstance(result, BlockResult):
            raise InputTypeError(f"commit takes what execute returned, not {type(result).__name__}")
        with memory_errors(), self._guard.alone("commit"):
            store = self._layers[-1]
            if result.layer is not store:
                raise StaleResult("the result was staged by another machine or in another sandbox: execute the block here")
            if store is self._store and self._store.read_only:
                raise ReadOnly("the machine was opened read-only: open it without read_only to commit, or use a sandbox")
            if result.upgrade != self._known().last_upgrade(result.height):
                raise StaleResult(f"another VM was decided for height {result.height} since the block was executed: execute it again")
            with storage_errors():
                pendings = list(self._pendings) if store is self._store else []
                for pending in pendings:
                    pending.committing(result.version, result.txs)
                try:
                    version = store.commit(
                        result.staged,
                        receipts_root=result.receipts_root,
                        height=result.height,
                        header=result.header.encode(hash_of(result.txs)),
                        transactions=result.transactions,
                        failed=result.failed,
                        body=body_of(result.txs, result.receipts) if self._receipts else None,
                    )
                except BaseException:
                    for pending in pendings:
                        pending.called_off()
                    raise
                if store is self._store:
                    self._cache.committed(result.staged.parent, store.stand, result.staged.changes)
                return version
