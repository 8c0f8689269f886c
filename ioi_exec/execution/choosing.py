"""How to run a block: on all workers, or one by one where that takes less time.

One by one is in the calling process if the VM comes with the engine; any other, which might end its process, has one worker of the
pool. Results are the same either way. What decides is what blocks have taken: per number of transactions (doubling), for they
bear on what waking workers costs, the seconds a transaction each way. The way that was slower is tried again when the time since
the last try is so long that the try, at its last figure, costs a hundredth of it: conflicts come and go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter

from ioi_exec.block.progress import OnProgress
from ioi_exec.block.result import Stats
from ioi_exec.execution.executor import BaseState, Block, Executor, OnReceipt, Outcome
from ioi_exec.execution.parallel import ParallelExecutor
from ioi_exec.execution.workers.pool import Pool

WAKING_SECONDS = 80e-6  # work that takes no longer is done before a second worker is awake
FEW = 256  # cheap transactions that are done before workers in other processes could have begun
TRY_SHARE = 0.01  # of the time, for trying the slower way again
TRY_BLOCKS = 16  # at least so many blocks apart
CLEARLY = 0.97  # of the time that the present way takes: less is worth a change
WEIGHT = 0.25  # of the newest block in the mean


@dataclass
class _Measured:
    """Blocks of about the same number of transactions. Seconds a transaction; None: not known."""

    alone: bool
    """The present way."""
    seconds: dict[bool, float] = field(default_factory=dict)
    """By way: whether one by one."""
    blocks: int = 0
    spent: float = 0.0
    """Blocks and seconds since the other way was tried."""


class Choice:
    """What is known of the ways, of one VM on one state. here: one by one is in this process."""

    def __init__(self, here: bool) -> None:
        self._here = here
        self._of_size: dict[int, _Measured] = {}
        self._cost: float | None = None  # seconds that a transaction computes, as last seen

    def alone(self, transactions: int) -> tuple[bool, str]:
        """Whether to execute a block of so many one by one, and why."""
        if self._here and transactions <= FEW:
            return True, f"at most {FEW} cheap transactions"
        if not self._here and self._cost is not None and transactions * self._cost <= WAKING_SECONDS:
            return True, "done before a second worker is awake"
        known = self._known(transactions)
        other = known.seconds.get(not known.alone)
        if other is None:
            return (False, "to compare") if known.alone and known.blocks else (known.alone, "not measured yet")
        now = known.seconds.get(known.alone)
        if now is None:
            return known.alone, "to compare"
        if other < CLEARLY * now:
            known.alone, known.blocks, known.spent = not known.alone, 0, 0.0
            return known.alone, _faster(now / other)
        if known.blocks >= TRY_BLOCKS and (other - now) * transactions <= TRY_SHARE * known.spent:
            return not known.alone, "to compare"
        return known.alone, _faster(other / now)

    def took(self, transactions: int, alone: bool, seconds: float, stats: Stats) -> None:
        """A block was executed without trouble."""
        if not transactions:
            return
        known = self._known(transactions)
        each = seconds / transactions
        before = known.seconds.get(alone)
        known.seconds[alone] = each if before is None else before + WEIGHT * (each - before)
        if alone is known.alone:
            known.blocks += 1
            known.spent += seconds
        else:
            known.blocks, known.spent = 0, 0.0
        computed = sum(stats.busy_seconds) / max(1, stats.executions)
        self._cost = computed
        if not alone and not self._here and True not in known.seconds and computed < CLEARLY * each:
            known.seconds[True] = computed  # what one worker would take at most: it has executed more often, and validated

    def _known(self, transactions: int) -> _Measured:
        size = transactions.bit_length()
        if size not in self._of_size:
            self._of_size[size] = _Measured(self._here)
        return self._of_size[size]


def _faster(times: float) -> str:
    return f"{times:.2f} times as fast as the other way"


class ChoosingExecutor:
    """An Executor that decides for each block. here: executes one by one in this process; None: one worker does."""

    def __init__(self, many: ParallelExecutor, here: Executor | None) -> None:
        self._many = many
        self._here = here
        self._choice = Choice(here is not None)
        self._starts = 0  # of the workers, as last seen

    @property
    def pool(self) -> Pool:
        return self._many.pool

    @property
    def worker_pids(self) -> tuple[int, ...]:
        return self._many.worker_pids

    def run(
        self, block: Block, base: BaseState, on_receipt: OnReceipt | None, on_progress: OnProgress | None = None
    ) -> Outcome:
        """As those that it chooses from."""
        pool = self.pool
        if not block.policy.choose or block.record or (self._here is None and pool.workers == 1):
            return self._many.run(block, base, on_receipt, on_progress)
        alone, why = self._choice.alone(len(block.txs))
        began = perf_counter()
        if alone and self._here is not None:
            outcome = self._here.run(block, base, on_receipt, on_progress)
        else:
            outcome = self._many.run(replace(block, one_worker=alone), base, on_receipt, on_progress)
        outcome.stats.why = why
        if outcome.stats.retries == 0 and (self._here is not None and alone or pool.starts == self._starts):
            self._choice.took(len(block.txs), alone, perf_counter() - began, outcome.stats)
        self._starts = pool.starts
        return outcome

    def close(self) -> None:
        self._many.close()
