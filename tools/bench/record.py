"""What `execute(..., record=True)` costs: the same blocks with and without, in turns, on a state in memory.

`on` over `off`: workers' time (all of them, waits left out) and wall time of the phase that runs transactions. `take` is
copying the record out of the arena afterwards, which only a recorded block pays.
"""

from __future__ import annotations

import argparse
import json
import statistics
from time import perf_counter
from typing import Any

from ioi_exec import BlockResult, ExecutionMachine, Record
from ioi_stress.notation.text import table
from tools.bench.engine import Case
from tools.bench.figures import Figure
from tools.bench.workloads import CostlyLoad, CostlyTransfers, PaymentsLoad, rounds_for


def cases(transactions: int) -> list[Case]:
    chosen = [
        Case(f"payments, {name}", "payments", None, PaymentsLoad(accounts, pattern), transactions)
        for name, accounts, pattern in (
            ("10,000 accounts", 10_000, "uniform"), ("10 accounts", 10, "uniform"), ("chain", transactions + 1, "chain"),
        )
    ]
    for microseconds in (10, 100):
        args = {"rounds": rounds_for(microseconds)}
        for name, accounts in (("10,000 accounts", 10_000), ("10 accounts", 10)):
            n = transactions * 2 // microseconds
            chosen.append(Case(f"Python {microseconds} us, {name}", CostlyTransfers, args, CostlyLoad(accounts), n))
    return chosen


def measure(case: Case, workers: int, rounds: int) -> dict[str, Any]:
    txs = case.load.block(case.transactions)
    results: dict[bool, list[BlockResult]] = {False: [], True: []}
    events, build = 0, []
    with ExecutionMachine.create(None, case.vm, genesis=case.load.genesis(), vm_args=case.vm_args, workers=workers) as machine:
        for turn in range(rounds + 1):
            for on in (False, True) if turn % 2 else (True, False):
                result = machine.execute(txs, record=on)
                if turn:  # the first starts workers and fills caches
                    results[on].append(result)
                if turn and on:
                    assert result.recorded is not None
                    began = perf_counter()
                    events = len(Record.of(*result.recorded).events)
                    build.append(perf_counter() - began)
    assert len({result.state_root for each in results.values() for result in each}) == 1
    n = len(txs)
    busy = {on: [1e9 * sum(r.stats.busy_seconds) / n for r in each] for on, each in results.items()}
    wall = {on: [1e9 * r.stats.seconds["execute"] / n for r in each] for on, each in results.items()}
    return {
        "case": case.name, "transactions": n, "workers": workers, "rounds": rounds, "events": events / n,
        "busy_ns": statistics.median(busy[False]), "busy_ratio": Figure.of(b / a for a, b in zip(busy[False], busy[True])),
        "wall_ns": statistics.median(wall[False]), "wall_ratio": Figure.of(b / a for a, b in zip(wall[False], wall[True])),
        "take_ns": 1e9 * statistics.median(r.stats.seconds["record"] for r in results[True]) / n,
        "build_ns": 1e9 * statistics.median(build) / n,
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench record", description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000, help="payments in a block (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="default %(default)s")
    parser.add_argument("--workers", default="1,2", help="worker counts, default %(default)s")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    chosen = parser.parse_args(arguments)
    lines = []
    for case in cases(chosen.transactions):
        for workers in [int(text) for text in chosen.workers.split(",")] if chosen.only in case.name else ():
            row = measure(case, workers, chosen.rounds)
            if chosen.json:
                print(json.dumps(row), flush=True)
            lines.append([
                case.name, str(workers), f"{row['events']:.1f}", f"{row['busy_ns']:,.0f}", str(row["busy_ratio"]),
                f"{row['wall_ns']:,.0f}", str(row["wall_ratio"]), f"{row['take_ns']:.0f}", f"{row['build_ns']:.0f}",
            ])  # fmt: skip
    if not chosen.json:
        print(f"ns per transaction, recording off; on/off (a tenth below and above); medians of {chosen.rounds}")
        print(table(["", "workers", "events", "busy", "on/off", "wall", "on/off", "take", "build"], lines))
    return 0
