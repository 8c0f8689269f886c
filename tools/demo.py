"""The demo of `make demo`: ten blocks of payments, ten of signed payments and ten of a VM in Python, in parallel and one by one, side by
side, and a block of Ethereum mainnet.

Every block is executed twice on the same state, sequentially and on all cores, in turns which comes first; roots and
receipts are compared, then the parallel result is committed to a state on disk that is deleted at the end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, Sequence

from ioi_exec import BlockHeader, BlockResult, ExecutionMachine, InputError, Policy
from ioi_exec.cores import allowed_cores
from ioi_exec.ethereum import check_installed
from tools.bench.workloads import (
    CostlyLoad,
    CostlyTransfers,
    PaymentsLoad,
    address,
    rounds_for,
)

PYTHON_VM_MICROSECONDS = 50
MAINNET = Path(__file__).parents[1] / "examples" / "ethereum" / "19933122.json.xz"
MAINNET_TIMES = 3


class Load(Protocol):
    def genesis(self) -> dict[bytes, bytes]: ...
    def block(self, transactions: int) -> list[bytes]: ...


class Bar:
    """A progress bar on a terminal's standard error; nothing elsewhere."""

    WIDTH = 32

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._on = sys.stderr.isatty()
        self._draw()

    def step(self) -> None:
        self._done += 1
        self._draw()

    def print(self, line: str) -> None:
        """A line of output above the bar."""
        self.clear()
        print(line, flush=True)
        self._draw()

    def clear(self) -> None:
        if self._on:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def _draw(self) -> None:
        if self._on:
            filled = self.WIDTH * self._done // self._total
            bar = "#" * filled + "." * (self.WIDTH - filled)
            sys.stderr.write(f"\r  {self._what} [{bar}] {100 * self._done // self._total:3d}%\033[K")
            sys.stderr.flush()


@dataclass
class Part:
    """What one half of the demo measured. Seconds of every block; phases of the parallel runs."""

    title: str
    sequential: list[float] = field(default_factory=list)
    parallel: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    phases: list[dict[str, float]] = field(default_factory=list)
    differences: int = 0

    @property
    def ratio(self) -> float:
        """How much faster parallel execution was: the median over blocks of the ratio within each block."""
        return statistics.median(s / p for s, p in zip(self.sequential, self.parallel))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000, help="accounts in the state (default %(default)s)")
    parser.add_argument("--blocks", type=int, default=10, help="blocks of each kind (default %(default)s)")
    parser.add_argument("--transactions", type=int, default=10_000, help="transactions in a block (default %(default)s)")
    parser.add_argument("--workers", type=int, default=None, help="worker processes (default: one per core)")
    chosen = parser.parse_args(arguments)
    # The median over payments' first block would be that of starting the workers; a small block before it starts them.
    with tempfile.TemporaryDirectory(prefix="ioi-demo-") as folder:
        payments = PaymentsLoad(chosen.accounts)
        parts = [run_part("payments, in C", "payments", None, payments, chosen, Path(folder) / "payments")]
        # Signatures are made before anything is measured, some 50 us each.
        signed = PaymentsLoad(chosen.accounts, signed=True)
        title = "payments, in C, signed with ed25519"
        parts.append(run_part(title, "payments", {"signed": True}, signed, chosen, Path(folder) / "signed"))
        rounds = rounds_for(PYTHON_VM_MICROSECONDS)
        costly = CostlyLoad(chosen.accounts)
        title = f"a VM in Python, about {PYTHON_VM_MICROSECONDS} us a transaction"
        parts.append(run_part(title, CostlyTransfers, {"rounds": rounds}, costly, chosen, Path(folder) / "python"))
    return summary(parts, run_mainnet(chosen), chosen)


def run_part(
    title: str, vm: str | type, vm_args: dict[str, Any] | None, load: Load, chosen: argparse.Namespace, path: Path
) -> Part:
    print(f"\n{title}: {chosen.blocks} blocks of {chosen.transactions:,} transactions on {chosen.accounts:,} accounts")
    began = perf_counter()
    bar = Bar("creating the state", 1)
    every = Policy.named("all-workers")  # what is shown is what they do, also where one by one is as fast
    machine = ExecutionMachine.create(path, vm, genesis=load.genesis(), vm_args=vm_args, workers=chosen.workers, policy=every)
    bar.clear()
    part = Part(title)
    with machine:
        print(f"  version 0, root {machine.root.hex()}, created in {perf_counter() - began:.1f} s; {machine.workers} workers")
        print(f"  {'version':>7}  {'root':<16}  {'parallel tx/s':>13}  {'one by one':>10}  {'ratio':>6}  {'executions':>10}  {'aborts':>6}  equal")
        header = BlockHeader(proposer=address(0))
        # Starts the workers, which is not what is measured; for less than this not all of them would be woken.
        machine.execute([b""] * 64, header)
        bar = Bar("blocks, each executed in parallel and one by one, and committed", 3 * chosen.blocks)
        for number in range(chosen.blocks):
            run_block(machine, part, load.block(chosen.transactions), header, bar, parallel_first=number % 2 == 1)
        bar.clear()
    return part


def run_block(
    machine: ExecutionMachine, part: Part, txs: list[bytes], header: BlockHeader, bar: Bar, parallel_first: bool
) -> None:
    def timed(sequential: bool) -> tuple[BlockResult, float]:
        began = perf_counter()
        result = machine.execute(txs, header, sequential=sequential)
        seconds = perf_counter() - began
        bar.step()
        return result, seconds

    first = timed(sequential=not parallel_first)
    second = timed(sequential=parallel_first)
    (result, parallel), (reference, sequential) = (first, second) if parallel_first else (second, first)
    began = perf_counter()
    machine.commit(result)
    part.commit.append(perf_counter() - began)
    bar.step()
    same = (result.state_root, result.receipts_root, result.receipts) == (
        reference.state_root, reference.receipts_root, reference.receipts,
    )
    part.differences += not same
    part.parallel.append(parallel)
    part.sequential.append(sequential)
    part.phases.append(result.stats.seconds)
    n = len(txs)
    bar.print(
        f"  {result.version:>7}  {result.state_root.hex()[:16]}  {n / parallel:>13,.0f}  {n / sequential:>10,.0f}  {sequential / parallel:>5.2f}x"
        f"  {result.stats.executions:>10,}  {result.stats.aborts:>6,}  {'yes' if same else 'NO: ROOTS OR RECEIPTS DIFFER'}"
    )


def run_mainnet(chosen: argparse.Namespace) -> Part | None:
    """None: the specification of Ethereum is not installed."""
    print(f"\na block of Ethereum mainnet, {MAINNET.name}, by the official specification in Python")
    try:
        check_installed()
    except InputError as error:
        print(f"  left out: {error}")
        return None
    from ioi_exec.ethereum.running import Runner
    from ioi_exec.files.ethereum import read_ethereum

    with open(MAINNET, "rb") as stream:
        file = read_ethereum(stream, MAINNET.name)
    bar = Bar("executing it, in parallel and one by one", 1)
    with Runner(chosen.workers) as runner:
        one_by_one, parallel = runner.timed(file, MAINNET_TIMES)
    bar.clear()
    part = Part(f"block {file.block.number:,} of Ethereum mainnet, by its specification in Python")
    part.sequential, part.parallel = [one.seconds for one in one_by_one], [one.seconds for one in parallel]
    every = [*one_by_one, *parallel]
    part.differences = len({one.state_root for one in every}) - 1 + sum(not one.equal for one in every)
    last = parallel[-1]
    print(f"  {len(file.transactions)} transactions, {last.gas_used:,} gas, {last.stats.executions} executions; state root {last.state_root.hex()[:16]}")
    for one in last.compared:
        said, found = (str(value) if isinstance(value, int) else value[:32] for value in (one.said, one.found))
        print(f"  {one.what:<13}  {found:<32}  {'as in its header' if one.equal else f'NO: ITS HEADER SAYS {said}'}")
    return part


def summary(parts: list[Part], mainnet: Part | None, chosen: argparse.Namespace) -> int:
    n, cores = chosen.transactions, len(allowed_cores())
    print(f"\nSummary ({cores} cores; medians of {chosen.blocks} blocks; execute + state root, commit apart)")
    for part in parts:
        parallel, sequential = statistics.median(part.parallel), statistics.median(part.sequential)
        print(f"  {part.title}")
        print(f"    on all cores {n / parallel:>10,.0f} tx/s    one by one {n / sequential:>10,.0f} tx/s    ratio {part.ratio:.2f}x")
        where = ", ".join(f"{name} {1000 * statistics.median(p[name] for p in part.phases):.1f} ms" for name in ("execute", "stage", "receipts"))
        print(f"    of a block: {where}; durable commit {1000 * statistics.median(part.commit):.0f} ms")
    payments, signed, python = parts
    print()
    if mainnet is not None:
        print(verdict(f"B{mainnet.title[1:]}", mainnet.ratio))
    print(verdict(f"A VM in Python at {PYTHON_VM_MICROSECONDS} us a transaction", python.ratio))
    print(verdict("Payments in C, signed", signed.ratio))
    print(verdict("Payments in C, unsigned", payments.ratio))
    print("  Without its signature a payment computes for a tenth of a microsecond: reading accounts from disk and hashing the state root")
    print("  cost far more, and the root is computed on one core. Parallel execution pays where transactions compute; it cannot help a")
    print("  chain of them, each waiting for the one before (python -m tools.bench engine shows that, and hot accounts).")
    different = sum(part.differences for part in (*parts, *([] if mainnet is None else [mainnet])))
    if different:
        print(f"\n{different} blocks DIFFERED from sequential execution, or from their header. This is a bug: please report it with the lines above.")
        return 5
    print("\nAll roots, receipts and receipts roots were equal to sequential execution.")
    return 0


def verdict(what: str, ratio: float) -> str:
    if ratio >= 1.05:
        return f"  {what}: parallel wins, {ratio:.2f}x."
    if ratio > 0.95:
        return f"  {what}: a draw, {ratio:.2f}x."
    return f"  {what}: one by one wins, parallel is at {ratio:.2f}x."


if __name__ == "__main__":
    sys.exit(main())
