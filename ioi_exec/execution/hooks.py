"""A block whose VM does something before its transactions: `migrate`, where it takes over, and `begin_block`.

Each runs as a block of its own that has no transactions, wherever the block would, and what it wrote lies under what comes next,
as a sandbox's writes do: nobody's reads can be overtaken by it, and it is no transaction to validate. At the end its writes are the
block's, where the block did not write the key again.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any, Sequence

from ioi_storage import Stand, Writes

from ioi_exec.block.hook import BEFORE, Hook
from ioi_exec.block.progress import OnProgress, Progress
from ioi_exec.errors import VMFault
from ioi_exec.execution.cross_check.check import CrossCheckFailed
from ioi_exec.execution.executor import (
    BaseState,
    Block,
    Executor,
    OnReceipt,
    Outcome,
)
from ioi_exec.execution.one_by_one.committed import Committed
from ioi_exec.execution.proposing import Proposer
from ioi_exec.state.cache import CommittedCache, Lookup
from ioi_exec.vm.loading import LoadedVM

INDEX = -1  # of what stopped a block before its first transaction


def run_block(
    executor: Executor, vm: LoadedVM, block: Block, base: BaseState, on_receipt: OnReceipt | None = None,
    on_progress: OnProgress | None = None, proposer: Proposer | None = None, migrates: bool = False,
) -> Outcome:
    """The whole of a block. proposer: it chooses which of the transactions. migrates: the VM takes over with this block.

    Raises what the executor does; the index of a hook before the transactions is INDEX."""
    before = []
    for hook in BEFORE:
        if vm.has(hook) and (migrates or hook is not Hook.MIGRATE):
            outcome = _run_hook(executor, replace(block, txs=(), hints=(), hook=hook, one_worker=True), base, len(block.txs), on_progress)
            before.append(outcome)
            base = Layered(base, outcome.writes)
    if proposer is None:
        outcome = executor.run(block, base, on_receipt, on_progress)
    else:
        outcome = proposer.run(executor, block, base, on_progress)
    for first in reversed(before):
        outcome.writes = Writes.of(outcome.writes).over(Writes.of(first.writes))
        outcome.end = replace(outcome.end, packed_events=first.end.packed_events + outcome.end.packed_events)
        outcome.stats.seconds = {**first.stats.seconds, **outcome.stats.seconds}
        outcome.stats.retries += first.stats.retries
    outcome.before = tuple(first.record for first in before if first.record is not None)
    return outcome


def _run_hook(executor: Executor, block: Block, base: BaseState, transactions: int, on_progress: OnProgress | None) -> Outcome:
    def at_it(progress: Progress) -> None:
        assert on_progress is not None
        on_progress(replace(progress, transactions=transactions, busy=tuple(None if at is None else INDEX for at in progress.busy)))

    began = perf_counter()
    try:
        outcome = executor.run(block, base, None, None if on_progress is None else at_it)
    except (VMFault, CrossCheckFailed) as error:
        error.tx_index = INDEX
        raise
    outcome.stats.seconds = {block.hook.method: perf_counter() - began}
    return outcome


class Layered(Committed):
    """A BaseState: another one, and writes that lie over it."""

    def __init__(self, below: BaseState, writes: Sequence[tuple[bytes, bytes | None]]) -> None:
        super().__init__(below, dict(writes))
        self._below = below

    @property
    def store_stand(self) -> Stand:
        return self._below.store_stand

    @property
    def cache(self) -> CommittedCache | None:
        return self._below.cache

    def getmulti(self, keys: Sequence[bytes]) -> list[bytes | None]:
        missing = [key for key in keys if key not in self._over]
        found = dict(zip(missing, self._below.getmulti(missing))) if missing else {}
        return [self._over[key] if key in self._over else found[key] for key in keys]

    def lookup(self) -> Lookup | None:
        return None  # the cache is of what lies below

    def fetch(self, keys: Sequence[bytes]) -> None:
        self._below.fetch(keys)

    def reader_spec(self) -> dict[str, Any]:
        return self._below.reader_spec()

    def inherit_fds(self) -> list[int]:
        return self._below.inherit_fds()

    def forget_dead_readers(self) -> None:
        self._below.forget_dead_readers()

    def overlay_writes(self) -> dict[bytes, bytes | None]:
        return {**self._below.overlay_writes(), **self._over}

    def beneath(self) -> tuple[dict[bytes, bytes | None], bool]:
        below, cached = self._below.beneath()
        return {**below, **self._over}, cached
