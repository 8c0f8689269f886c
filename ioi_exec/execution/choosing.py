"""How to run a block: on all workers, or one by one where that takes less time.

One by one is in the calling process if the VM comes with the engine; any other, which might end its process, has one worker of the
pool. Results are the same either way. What decides is what blocks have taken: per number of transactions (doubling), for they
bear on what waking workers costs, the least seconds a transaction of the last few blocks each way, which other work on the machine
disturbs less than a mean. The first block of a way, which finds nothing in any cache, is never all that is known of it. The way that
was slower is tried again after some blocks, for conflicts come and go, and after twice as many each time that it was slower still;
whatever a try has cost, that is at most COSTS of the time until the next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from time import perf_counter

from ioi_exec.block.progress import OnProgress
from ioi_exec.block.result import Stats
from ioi_exec.execution.executor import BaseState, Block, Executor, OnReceipt, Outcome
from ioi_exec.execution.parallel import ParallelExecutor
from ioi_exec.execution.workers.pool import Pool

WAKING_SECONDS = 80e-6  # work that takes no longer is done before a second worker is awake
FEW = 256  # cheap transactions that are done before workers in other processes could have begun
REMEMBERED = 5  # blocks each way
SETTLED = 3  # blocks of the present way before another is tried
TRIES = 3  # blocks, one after another, when the other way is tried
TRY_FIRST = 16  # blocks until the other way is tried again
TRY_MOST = 512  # the same, of how often it is doubled
HOPELESS = 2.0  # times the present way's figure: a try ends there with its first block
LOST = 0.5  # blocks of the present way's that a try took too long, all together: it ends there with a later one
COSTS = 0.02  # of the time, that tries may cost in the long run
CLEARLY = 0.97  # of the time that the present way takes: less is worth a change


def _some() -> deque[float]:
    return deque(maxlen=REMEMBERED)


@dataclass
class _Measured:
    """Blocks of about the same number of transactions."""

    alone: bool
    """The present way: whether one by one."""
    now: deque[float] = field(default_factory=_some)
    """Seconds a transaction, of the last blocks the present way."""
    other: deque[float] = field(default_factory=_some)
    """The same the other way, when it was tried last; empty: it never was."""
    trying: int = 0
    """So many blocks are still to be tried the other way."""
    lost: float = 0.0
    """What that has cost so far, in blocks of the present way."""
    blocks: int = 0
    """The present way, since the last try."""
    patience: int = TRY_FIRST
    """Blocks until the next try."""

    def change(self) -> None:
        self.alone, self.now, self.other = not self.alone, self.other, self.now
        self.trying, self.lost, self.blocks, self.patience = 0, 0.0, 0, TRY_FIRST

    def try_other(self) -> None:
        if self.other:
            self.patience = min(2 * self.patience, TRY_MOST)
        self.other, self.trying, self.lost, self.blocks = _some(), TRIES, 0.0, 0

    def tried(self, each: float) -> None:
        """A block the other way took so much."""
        self.other.append(each)
        self.trying -= 1
        times = each / min(self.now)
        self.lost += max(0.0, times - 1)
        if times > HOPELESS if len(self.other) == 1 else self.lost > LOST:
            self.trying = 0

    @property
    def due(self) -> bool:
        """Whether it is time to try the other way again."""
        return self.blocks >= max(self.patience, self.lost / COSTS)


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
        if not known.other and not known.trying and known.blocks < SETTLED:
            return known.alone, "not measured yet"
        if not known.trying:
            if not known.other:
                if not known.alone and (self._cost or 0.0) >= CLEARLY * min(known.now):
                    return False, "one by one would take no less"  # it takes what is computed, if nothing is twice
                known.try_other()
            elif min(known.other) < CLEARLY * min(known.now):
                known.change()
            elif known.due:
                known.try_other()
        if known.trying:
            return not known.alone, "to compare"
        return known.alone, f"{min(known.other) / min(known.now):.2f} times as fast as the other way"

    def took(self, transactions: int, alone: bool, seconds: float, stats: Stats) -> None:
        """A block was executed without trouble."""
        if not transactions:
            return
        known = self._known(transactions)
        each = seconds / transactions
        self._cost = sum(stats.busy_seconds) / max(1, stats.executions)
        if alone is known.alone:
            known.now.append(each)
            known.blocks += 1
        elif known.trying:
            known.tried(each)

    def _known(self, transactions: int) -> _Measured:
        size = transactions.bit_length()
        if size not in self._of_size:
            self._of_size[size] = _Measured(self._here)
        return self._of_size[size]


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

    @property
    def arena_bytes(self) -> int:
        return self._many.arena_bytes

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
