"""What is true: the workload executed one by one, in this process, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Iterator

from ioi_exec import ExecutionMachine, Limits
from ioi_stress.workload import Block, Workload


@dataclass(frozen=True)
class Truth:
    """What a block must come to. seconds: it took one by one."""

    version: int
    state_root: bytes
    receipts_root: bytes
    transactions: int
    failed: int
    seconds: float


class Oracle:
    """truths: of every version so far, by version; that of genesis has the receipts root of no receipt."""

    def __init__(self, workload: Workload, tree: str, limits: Limits) -> None:
        self._workload = workload
        self._machine = ExecutionMachine.create(
            None, workload.vm, tree, workload.genesis(), vm_args=workload.vm_args, workers=0, limits=limits, keep=1
        )
        info = self._machine.info
        self.truths = [Truth(0, info.state_root, info.receipts_root, 0, 0, 0.0)]

    def blocks(self) -> Iterator[tuple[Block, Truth]]:
        for block in self._workload.blocks():
            began = perf_counter()
            result = self._machine.execute(block.txs, block.header)
            self._machine.commit(result)
            seconds = perf_counter() - began
            self.truths.append(
                Truth(result.version, result.state_root, result.receipts_root, result.transactions, result.failed, seconds)
            )
            yield block, self.truths[-1]

    def close(self) -> None:
        self._machine.close()
