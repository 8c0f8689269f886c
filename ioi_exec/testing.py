"""For tests of a VM: is executing on all cores the same as executing one after another?"""

from __future__ import annotations

from typing import Iterable, Sequence

from ioi_exec.arguments import integer, wrong_type
from ioi_exec.block.header import BlockHeader
from ioi_exec.block.preparation import (
    Genesis,
    checked_genesis,
    checked_limits,
    checked_transactions,
)
from ioi_exec.block.result import BlockResult
from ioi_exec.block.wording import in_hex, receipt_text
from ioi_exec.errors import Diverged
from ioi_exec.execution.cross_check.check import CrossCheckFailed
from ioi_exec.execution.executor import Executor
from ioi_exec.execution.executors import Executors, OwnExecutors, SharedPools
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.limits import Limits
from ioi_exec.machine import ExecutionMachine
from ioi_exec.policy import Policy
from ioi_exec.state.opening import checked_workers
from ioi_exec.vm.loading import Args, LoadedVM, load_vm


class NotSerializable(Diverged, AssertionError):
    """Parallel execution differed from sequential. The fields name the first difference; None where there is none.

    tx_index: the first transaction that differs: by its receipt, or (of a VM in Python) as the last writer of a key that differs.
    key: the first differing key that this transaction wrote, else the first of all.
    sequential, parallel: the key's value (None: absent) or, if no key differs, the receipt.
    """

    def __init__(
        self, message: str, tx_index: int | None, key: bytes | None, sequential: object, parallel: object
    ) -> None:
        super().__init__(message)
        self.tx_index = tx_index
        self.key = key
        self.sequential = sequential
        self.parallel = parallel


def assert_serializable(
    vm: str | type | object,
    genesis: Genesis | None,
    txs: Iterable[bytes],
    *,
    workers: Sequence[int] = (1, 2, 4),
    header: BlockHeader | None = None,
    vm_args: Args | None = None,
    limits: Limits | None = None,
    pools: SharedPools | None = None,
    cross_check: int = 200,
) -> BlockResult:
    """Execute the block sequentially and once for each worker count, and cross-check it; returns the sequential result.

    A worker count of 0 executes sequentially a second time.
    cross_check: how many transactions, from the first on, are executed again in fresh processes (some 10 ms each), which finds a VM in
    Python that keeps state, rolls dice, or depends on time, the order of a set or the process. 0: none.
    pools: workers to use (the fixture `ioi_pools`); default: new ones for this call.
    Raises NotSerializable, an AssertionError, that names the first transaction, the key and both values; and what `create` and
    `execute` do.
    """
    within = checked_limits(Limits() if limits is None else limits)
    listed, pairs = checked_transactions(txs, within), checked_genesis(genesis, within)
    if not isinstance(workers, Sequence):
        raise wrong_type("workers", workers, "a list of how many, say (1, 2, 4)")
    workers = [checked_workers(count) for count in workers]
    cross_check = integer("cross_check", cross_check, 0)

    def executed(count: int, using: Executors, check: int = 0) -> BlockResult:
        with ExecutionMachine.create(
            None, vm, genesis=pairs, vm_args=vm_args, workers=count, pin=False, limits=limits, executors=using,
            cross_check=check > 0, policy=Policy.named("all-workers"),
        ) as machine:
            return machine.execute(listed[: check or None], header, sequential=check > 0)

    # What executes in this process comes last: it may change the VM that the others are to have.
    unequal = None
    if cross_check and load_vm(vm, vm_args).native is None:
        try:
            executed(1, OwnExecutors(pools), cross_check)
        except CrossCheckFailed as error:
            unequal = NotSerializable(str(error), error.tx_index, error.key, error.first, error.second)
    results = [(count, executed(count, OwnExecutors(pools))) for count in workers]
    tracing = _Tracing()
    reference = executed(0, tracing)
    for count, result in results:
        if (result.state_root, result.receipts_root, result.receipts, result.writes) != (
            reference.state_root, reference.receipts_root, reference.receipts, reference.writes,
        ):
            raise _difference(reference, result, dict(pairs), tracing.writers, count)
    if unequal is not None:
        raise unequal
    return reference


def _difference(
    expected: BlockResult, found: BlockResult, genesis: dict[bytes, bytes], known: dict[bytes, int] | None, workers: int
) -> NotSerializable:
    writers = known or {}
    receipt_at = next((i for i, (a, b) in enumerate(zip(expected.receipts, found.receipts)) if a != b), None)
    left = {**genesis, **dict(expected.writes)}
    right = {**genesis, **dict(found.writes)}
    written = dict(expected.writes).keys() ^ dict(found.writes).keys()
    keys = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key) or key in written)
    candidates = [writers[key] for key in keys if key in writers]
    if receipt_at is not None:
        candidates.append(receipt_at)
    tx_index = min(candidates, default=None)
    key = next((key for key in keys if writers.get(key) == tx_index), keys[0] if keys else None)

    lines = [f"with {workers} workers the block differs from sequential execution"]
    if tx_index is not None:
        lines.append(f"  first at transaction {tx_index} of {expected.transactions}")
    if receipt_at is not None:
        lines.append(f"  receipt {receipt_at}: sequential {receipt_text(expected.receipts[receipt_at])}")
        lines.append(f"  receipt {receipt_at}: parallel   {receipt_text(found.receipts[receipt_at])}")
    if key is not None:
        who = f"written last by transaction {writers[key]}" if key in writers else "not written by any transaction"
        sequentially = "" if known is None else f"sequentially {who}; "
        lines.append(f"  key {in_hex(key)} ({sequentially}{len(keys)} keys differ)")
        lines.append(f"    sequential {_shown(left.get(key))}")
        lines.append(f"    parallel   {_shown(right.get(key))}")
        return NotSerializable("\n".join(lines), tx_index, key, left.get(key), right.get(key))
    assert receipt_at is not None, "results differ, but neither a receipt nor a key does"
    values = expected.receipts[receipt_at], found.receipts[receipt_at]
    return NotSerializable("\n".join(lines), tx_index, None, *values)


class _Tracer(SequentialExecutor):
    """Sequential execution that notes which transaction wrote each key last. (What `end_block` writes has no such.)"""

    def __init__(self, vm: LoadedVM, limits: Limits) -> None:
        super().__init__(vm, limits)
        self.writers: dict[bytes, int] = {}

    def wrote(self, tx_index: int, keys: list[bytes]) -> None:
        self.writers.update(dict.fromkeys(keys, tx_index))


class _Tracing(OwnExecutors):
    writers: dict[bytes, int] | None = None
    """None: the VM is in C, where nobody notes who wrote what."""

    def get(
        self, vm: LoadedVM, limits: Limits, workers: int, pin: bool, *, sequential: bool = False, cross_check: bool = False
    ) -> Executor:
        if vm.native is not None:
            return super().get(vm, limits, workers, pin, sequential=sequential, cross_check=cross_check)
        tracer = _Tracer(vm, limits)
        self.writers = tracer.writers
        return tracer


def _shown(value: bytes | None) -> str:
    return "absent" if value is None else in_hex(value)
