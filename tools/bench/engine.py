"""The whole engine, from a list of transactions to the batch that goes into the tree, on a state in memory.

`ratio` is sequential time over parallel time: above 1 parallel is faster. The sequential side of payments is the same
VM in C over a plain hash table; that of a VM in Python is the same class. Staging and receipts are left out, being
the same on both sides; `python -m tools.bench storage` has them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Iterator

from ioi_exec import ExecutionMachine, Policy
from tools.bench.workloads import CostlyLoad, CostlyTransfers, PaymentsLoad, rounds_for


@dataclass(frozen=True)
class Case:
    name: str
    vm: str | type
    vm_args: dict[str, Any] | None
    load: PaymentsLoad | CostlyLoad
    transactions: int


def cases(transactions: int, quick: bool) -> Iterator[Case]:
    yield Case("empty block", "payments", None, PaymentsLoad(10), 0)
    for name, accounts, pattern in (
        ("10,000 accounts", 10_000, "uniform"), ("10 accounts", 10, "uniform"), ("hot receiver", 10_000, "hot"),
        ("chain", transactions + 1, "chain"),
    ):
        yield Case(f"payments, {name}", "payments", None, PaymentsLoad(accounts, pattern), transactions)
    for microseconds in (10, 100):
        rounds = rounds_for(microseconds)
        n = transactions // (20 if quick else 5) * 10 // microseconds or 1
        for name, accounts, pattern in (
            ("10,000 accounts", 10_000, "uniform"), ("10 accounts", 10, "uniform"), ("chain", n + 1, "chain"),
        ):
            args = {"rounds": rounds, "chain": pattern == "chain"}
            yield Case(f"Python {microseconds} us, {name}", CostlyTransfers, args, CostlyLoad(accounts, pattern), n)


def measure(case: Case, workers: list[int], rounds: int) -> dict[str, Any]:
    """Seconds of `execute` (and of its phase that runs transactions) per worker count, one by one being 0."""
    every = Policy.named("all-workers")
    machines = {
        count: ExecutionMachine.create(
            None, case.vm, genesis=case.load.genesis(), vm_args=case.vm_args, workers=count, policy=every
        )
        for count in (0, *workers)
    }
    txs = case.load.block(case.transactions)
    total: dict[int, list[float]] = {count: [] for count in machines}
    inner: dict[int, list[float]] = {count: [] for count in machines}
    stats = {}
    roots = set()
    try:
        for turn in range(rounds + 1):
            for count, machine in machines.items():
                began = perf_counter()
                result = machine.execute(txs)
                ended = perf_counter()
                roots.add((result.state_root, result.receipts_root))
                if turn:  # the first starts workers and fills caches
                    total[count].append(ended - began)
                    inner[count].append(result.stats.seconds["execute"])
                    stats[count] = result.stats
    finally:
        for machine in machines.values():
            machine.close()
    assert len(roots) == 1, f"{case.name}: roots or receipts differ between worker counts"
    row: dict[str, Any] = {"case": case.name, "transactions": len(txs), "rounds": rounds}
    for count in machines:
        row[f"execute_us_{count}"] = 1e6 * statistics.median(inner[count])
        row[f"total_us_{count}"] = 1e6 * statistics.median(total[count])
        if count:
            row[f"ratio_{count}"] = statistics.median(s / p for s, p in zip(inner[0], inner[count]))
            row[f"executions_{count}"] = stats[count].executions
            row[f"suspensions_{count}"] = stats[count].suspensions
            row[f"mode_{count}"] = stats[count].mode
    return row


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench engine", description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000, help="payments in a block (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="default %(default)s")
    parser.add_argument("--workers", default="1,2", help="worker counts, default %(default)s")
    parser.add_argument("--quick", action="store_true", help="smaller blocks of the VM in Python")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    chosen = parser.parse_args(arguments)
    workers = [int(text) for text in chosen.workers.split(",")]
    if not chosen.json:
        print(f"us per transaction (of an empty block: us), execute without staging; ratios to one by one; medians of {chosen.rounds}")
        heads = "".join(f"  {f'{count} workers':>10}  {'ratio':>6}  {'exec/tx':>7}" for count in workers)
        print(f"  {'case':<32}  {'one by one':>10}{heads}")
    for case in cases(chosen.transactions, chosen.quick):
        if chosen.only not in case.name:
            continue
        row = measure(case, workers, chosen.rounds)
        if chosen.json:
            print(json.dumps(row), flush=True)
            continue
        n = row["transactions"] or 1
        columns = "".join(
            f"  {row[f'execute_us_{count}'] / n:>10.3f}  {row[f'ratio_{count}']:>5.2f}x  {row[f'executions_{count}'] / n:>7.2f}"
            for count in workers
        )
        print(f"  {case.name:<32}  {row['execute_us_0'] / n:>10.3f}{columns}", flush=True)
    return 0
