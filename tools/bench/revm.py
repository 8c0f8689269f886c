"""The native EVM (tools/revm-vm, which has to be installed) against revm alone, which executes the same transactions one after another over
a state in memory: generated worlds of Ethereum, and block files.

`one worker`, `two workers`: of the phase that runs transactions, which recovers senders as well; revm alone is given that
time, too. Ratios are of time, taken within a round.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from ioi_exec import BlockHeader, ExecutionMachine, Policy
from ioi_exec.ethereum import EVMS
from ioi_stress.notation.text import table
from ioi_stress.workload import Workload
from ioi_stress.workloads import make
from tools.bench.figures import Figure

WORLDS = ("transfers", "token", "pools", "pool", "mix")


class Case(NamedTuple):
    name: str
    state: dict[bytes, bytes]
    transactions: Sequence[bytes]
    header: BlockHeader


def case_of(name: str, workload: Workload) -> Case:
    block = next(iter(workload.blocks()))
    assert block.header is not None
    return Case(name, dict(workload.genesis()), block.txs, block.header)


def measure(case: Case, rounds: int) -> dict[str, Any]:
    from ioi_revm import preloaded

    from ioi_exec.vm.ethereum import LIMITS

    machines = [
        ExecutionMachine.create(
            None, EVMS["revm"], genesis=case.state, initial_height=case.header.height, workers=workers, limits=LIMITS, chain_id="1"
        )
        for workers in (1, 2)
    ]
    seconds: dict[str, list[float]] = {name: [] for name in ("alone", "recovering", "one", "two")}
    gas, executions = 0, 0.0
    policy = Policy.named("all-workers")
    pairs = list(case.state.items())
    try:
        for turn in range(rounds + 1):
            recovering, executing, gas = preloaded(case.header.extra, list(case.transactions), pairs)
            results = [machine.execute(case.transactions, case.header, policy=policy) for machine in machines]
            assert results[0].state_root == results[1].state_root
            if turn:  # the first starts workers and analyses code
                seconds["alone"].append(recovering + executing)
                seconds["recovering"].append(recovering)
                for name, result in zip(("one", "two"), results):
                    seconds[name].append(result.stats.seconds["execute"])
                executions = results[1].stats.executions / max(1, len(case.transactions))
    finally:
        for machine in machines:
            machine.close()

    def ratio(over: str, under: str) -> Figure:
        return Figure.of(a / b for a, b in zip(seconds[over], seconds[under]))

    return {
        "case": case.name, "transactions": len(case.transactions), "gas": gas, "rounds": rounds, "executions": executions,
        "alone_ms": Figure.of(1e3 * each for each in seconds["alone"]), "recovering_ms": Figure.of(1e3 * each for each in seconds["recovering"]),
        "one_over_alone": ratio("one", "alone"), "speedup": ratio("one", "two"), "alone_over_two": ratio("alone", "two"),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench revm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="blocks as ioi-exec ethereum run takes them")
    parser.add_argument("--transactions", type=int, default=1000, metavar="N", help="of each generated world (default: %(default)s; 0: none)")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="measured, after one that is not (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    n = options.transactions
    cases = [case_of(world, make("evm", world=world, accounts=n, block_size=n, evm="revm")) for world in WORLDS if n]
    cases += [case_of(path.name.partition(".")[0], make("ethereum", file=str(path), evm="revm")) for path in options.files]
    rows = []
    for each in cases:
        row = measure(each, options.rounds)
        if options.json:
            print(json.dumps({name: value._asdict() if isinstance(value, Figure) else value for name, value in row.items()}), flush=True)
        rows.append(row)
    if not options.json:
        heads = ("", "transactions", "revm alone, ms", "its senders, ms", "one worker/alone", "one worker/two", "alone/two workers", "executions")
        print(table(heads, ([
            row["case"], f"{row['transactions']:,}", *(str(row[name]) for name in ("alone_ms", "recovering_ms", "one_over_alone", "speedup", "alone_over_two")),
            f"{row['executions']:.2f}",
        ] for row in rows)))
    return 0
