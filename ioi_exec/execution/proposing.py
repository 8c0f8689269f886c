"""A block for a proposer: what of the candidates can be in one, executed as any node will execute it.

    round   execute the candidates in their order, as far as bytes have room      one that stops the block is taken out: again
            those that `ante` refused are taken out; the first that no longer     nothing taken out or cut: that is the block
            fits by gas, or was not executed in time, and all after it are cut    else again, with what is left

So the last round is a plain execution of a plain block, and whatever it gave any replica gets. What is refused changes nothing, so
for a VM that does not look at its position in the block the second round only confirms the first. After ROUNDS the first candidate that
would be taken out cuts the block too: from then on each block is the beginning of one that was executed.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Sequence

from ioi_exec.block.progress import OnProgress, Progress
from ioi_exec.block.proposal import Dropped, Proposal
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.errors import VMFault
from ioi_exec.execution.executor import BaseState, Block, Enough, Executor, Outcome
from ioi_exec.execution.faults import raised_at
from ioi_exec.limits import Limits

ROUNDS = 8


class Proposer:
    """included: positions of the candidates that are in the block; dropped: by position, why one was taken out; those in neither
    were cut off and may be tried another time. earlier_seconds: what the rounds before the last one took."""

    def __init__(self, candidates: Sequence[bytes], proposal: Proposal, limits: Limits) -> None:
        self._candidates = candidates
        self._gas = None if limits.gas is None else limits.gas.block_limit
        self._limits = limits
        self._most = limits.block_bytes if proposal.max_bytes is None else proposal.max_bytes
        self._seconds = proposal.seconds
        self._sizes = [proposal.size_of(tx) for tx in candidates]
        self._end = len(candidates)  # where the block was cut
        self.dropped: dict[int, Dropped] = {}
        self.included: list[int] = []
        self.earlier_seconds = 0.0
        for index, (tx, size) in enumerate(zip(candidates, self._sizes)):
            if len(tx) > (most := min(limits.tx_bytes, limits.block_bytes)):
                self.dropped[index] = Dropped("size", f"it has {len(tx)} bytes: at most {most} (Limits.tx_bytes, Limits.block_bytes)")
            elif size > self._most:
                self.dropped[index] = Dropped("size", f"it takes {size} bytes of a block that may have {self._most}")

    def run(self, executor: Executor, block: Block, base: BaseState, on_progress: OnProgress | None) -> Outcome:
        """The outcome of the block of `included`. Raises as `executor.run`, but for what a transaction did."""
        began, known = perf_counter(), False  # whether about so much was executed before, and how long that takes
        rounds = 0
        while True:
            rounds += 1
            started = perf_counter()
            self.included = self._that_fit()
            stop = None if known or self._seconds is None else (started + began + self._seconds) / 2
            look = _Look(self._gas, stop, on_progress)
            now = replace(block, txs=[self._candidates[index] for index in self.included])
            try:
                outcome = executor.run(now, base, look.on_receipt if self._gas is not None else None, look.on_progress)
            except VMFault as fault:
                if not 0 <= fault.tx_index < len(self.included):
                    raise  # what goes before the transactions, or after them
                why = str(fault).removeprefix(f"transaction {fault.tx_index} ")  # its place in this round, which nobody else knows
                at = "" if fault.__cause__ is None else raised_at(fault.__cause__)
                self._drop(fault.tx_index, Dropped("fault", why + at), last=rounds >= ROUNDS)
            except Enough:
                known = True
                assert look.fit is not None
                self._cut(look.fit)
                self._take_out(look.refused, last=rounds >= ROUNDS)
            else:
                known = True
                refused = _refused(outcome.receipts)
                if not refused and look.fit is None:
                    self.earlier_seconds = started - began
                    return outcome
                if look.fit is not None:
                    self._cut(look.fit)
                self._take_out(refused, last=rounds >= ROUNDS)

    def _that_fit(self) -> list[int]:
        """The candidates up to the first that does not fit by bytes, or by number."""
        fit: list[int] = []
        room = self._most
        length = self._limits.block_bytes
        for index in range(self._end):
            if index in self.dropped:
                continue
            room -= self._sizes[index]
            length -= len(self._candidates[index])
            if room < 0 or length < 0 or len(fit) == self._limits.block_transactions:
                break
            fit.append(index)
        return fit

    def _cut(self, position: int) -> None:
        """The block ends before the one at this position of it."""
        if position < len(self.included):
            self._end = min(self._end, self.included[position])

    def _drop(self, position: int, why: Dropped, last: bool) -> None:
        self.dropped[self.included[position]] = why
        if last:
            self._cut(position)

    def _take_out(self, refused: list[tuple[int, Receipt]], last: bool) -> None:
        for position, receipt in refused:
            if self.included[position] < self._end:
                self._drop(position, Dropped("refused", receipt.error, receipt.code), last)


class _Look:
    """Sees where a block has to end, while it is executed. fit: so many of it fit; None: all."""

    def __init__(self, gas: int | None, stop: float | None, on_progress: OnProgress | None) -> None:
        self._room = gas
        self._stop = stop
        self._on_progress = on_progress
        self.on_progress = None if stop is None and on_progress is None else self._progress
        self.refused: list[tuple[int, Receipt]] = []
        self.fit: int | None = None

    def on_receipt(self, position: int, receipt: Receipt) -> None:
        if receipt.refused:
            self.refused.append((position, receipt))
            return
        assert self._room is not None
        self._room -= receipt.gas_used
        if self._room < 0:
            self.fit = position
            raise Enough

    def _progress(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)
        if self._stop is not None and progress.watermark < progress.transactions and perf_counter() > self._stop:
            self.fit = progress.watermark
            raise Enough


def _refused(receipts: Receipts) -> list[tuple[int, Receipt]]:
    if not receipts.failed:
        return []
    return [(position, receipt) for position, receipt in enumerate(receipts) if receipt.refused]
