"""One side of `against`: executes what it is told with the ioi_exec of the interpreter that runs it.

A script, not a module, so that either tree's interpreter can run it; it uses nothing but what both have: the public interface,
ioi_stress.workloads.make, and tools.bench.workloads of its own tree. Standard input has one JSON object a line:
{"measure": class, "args": {...}} makes the measure, {"round": i} answers {"figure": x, ...}, {} ends it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import Any, Sequence

from ioi_exec import ExecutionMachine, Policy
from tools.bench.workloads import CostlyLoad, CostlyTransfers, PaymentsLoad, rounds_for

Figures = dict[str, Any]


class Measure:
    """What closes with it is in `self.stack`."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def machine(
        self, vm: Any, genesis: Any, workers: int, vm_args: Any = None, path: str | None = None, policy: Policy | None = None
    ) -> ExecutionMachine:
        made = ExecutionMachine.create(path, vm, genesis=genesis, vm_args=vm_args, workers=workers, policy=policy or Policy())
        self.stack.callback(made.close)
        return made

    def round(self, turn: int) -> Figures:
        raise NotImplementedError


def seconds(machine: ExecutionMachine, txs: Sequence[bytes]) -> float:
    began = time.perf_counter()
    machine.execute(txs)
    return time.perf_counter() - began


class Pair(Measure):
    """One by one in this process, and on workers, in turns."""

    def pair(self, vm: Any, genesis: Any, txs: Sequence[bytes], vm_args: Any = None, workers: int = 2, alone: int = 0) -> None:
        self.one = self.machine(vm, genesis, 0, vm_args)
        self.many = self.machine(vm, genesis, workers, vm_args)
        self.txs = txs
        self.alone = txs[:alone] if alone else txs  # what is executed one by one

    def round(self, turn: int) -> Figures:
        taken: dict[str, float] = {}
        for name in ("one", "many")[:: 1 if turn % 2 else -1]:
            machine, txs = (self.one, self.alone) if name == "one" else (self.many, self.txs)
            began = time.perf_counter()
            result = machine.execute(txs)
            taken[name] = 1e6 * (time.perf_counter() - began) / len(txs)
            if name == "many":
                stats = result.stats
        return {
            "figure": taken["one"] / taken["many"],
            "one_by_one_us": taken["one"],
            "workers_us": taken["many"],
            "mode": stats.mode,
            "executions": stats.executions / len(self.txs),
        }


class Payments(Pair):
    def __init__(self, accounts: int, pattern: str, transactions: int) -> None:
        super().__init__()
        load = PaymentsLoad(accounts, pattern)
        self.pair("payments", load.genesis(), load.block(transactions))


class Costly(Pair):
    def __init__(self, microseconds: float, accounts: int, pattern: str, transactions: int) -> None:
        super().__init__()
        load = CostlyLoad(accounts, pattern)
        args = {"rounds": rounds_for(microseconds), "chain": pattern == "chain"}
        self.pair(CostlyTransfers, load.genesis(), load.block(transactions), args)


class Stress(Pair):
    def __init__(self, workload: str, parameters: dict[str, Any], workers: int = 2, alone: int = 0, figure: str = "") -> None:
        from ioi_stress.workloads import make

        super().__init__()
        made = make(workload, **parameters)
        block = next(iter(made.blocks()))
        self.pair(made.vm, made.genesis(), list(block.txs), made.vm_args, workers, alone)
        self.figure = figure

    def round(self, turn: int) -> Figures:
        if not self.figure:
            return super().round(turn)
        stats = self.many.execute(self.txs).stats
        return {"figure": getattr(stats, self.figure) / len(self.txs)}


class Small(Measure):
    """The same few payments again and again: the median block of each way."""

    def __init__(self, transactions: int, idle_ms: float, blocks: int) -> None:
        super().__init__()
        load = PaymentsLoad(10_000)
        self.machines = [self.machine("payments", load.genesis(), workers) for workers in (0, 2)]
        self.txs = load.block(transactions)
        self.idle, self.blocks = idle_ms / 1e3, blocks

    def round(self, turn: int) -> Figures:
        taken = [0.0, 0.0]
        for which in (0, 1)[:: 1 if turn % 2 else -1]:
            machine = self.machines[which]
            each = []
            for _ in range(self.blocks):
                if self.idle:
                    time.sleep(self.idle)
                each.append(seconds(machine, self.txs))
            taken[which] = 1e6 * statistics.median(each)
        return {"figure": taken[1] / taken[0], "one_by_one_us": taken[0], "workers_us": taken[1]}


class Core(Measure):
    """tools/bench/core.c of this side's tree, which was compiled before."""

    def __init__(self, program: str, case: str, over: str, under: str) -> None:
        super().__init__()
        self.command = [program, "10000", "5", case]
        self.over, self.under = over, under

    def round(self, turn: int) -> Figures:
        row = json.loads(subprocess.run(self.command, stdout=subprocess.PIPE, check=True).stdout)
        return {"figure": row[self.over] / row[self.under], "over_ns": row[self.over], "under_ns": row[self.under]}


class Touches:
    """A VM in Python that does little but read and write: a transaction names keys of 4 bytes."""

    def __init__(self, gets: int, puts: int) -> None:
        self._gets, self._puts = gets, puts

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        for i in range(self._gets):
            state.get(tx[4 * i : 4 * i + 4])
        for i in range(self._puts):
            state.put(tx[4 * i : 4 * i + 4], tx)


class Busy(Measure):
    def __init__(self, gets: int, puts: int) -> None:
        super().__init__()
        rng = random.Random(1)
        keys = [i.to_bytes(4, "big") for i in range(10_000)]
        self.txs = [b"".join(rng.choices(keys, k=max(gets, puts, 1))) for _ in range(10_000)]
        self.workers = self.machine(Touches, {key: key for key in keys}, 1, {"gets": gets, "puts": puts})

    def round(self, turn: int) -> Figures:
        result = self.workers.execute(self.txs)
        busy = sum(result.stats.busy_seconds)
        return {"figure": 1e6 * busy / len(self.txs), "wall_us": 1e6 * result.stats.seconds["execute"] / len(self.txs)}


class ColdKeys(Measure):
    """Programs of ioi-stress that read keys which they find as they run, and the same with keys that can be told before."""

    def __init__(self, accounts: int, reads: int, transactions: int) -> None:
        from ioi_stress.vm import encoding

        super().__init__()
        self.encoding, self.accounts, self.reads, self.transactions = encoding, accounts, reads, transactions
        genesis = {b"account/%08d" % i: b"%032d" % i for i in range(accounts)}
        self.workers = self.machine("ioi_stress.vm:NativeProgram", genesis, 2)
        self.rng = random.Random(1)
        self.number = 0

    def block(self, hinted: bool) -> list[bytes]:
        """A new one each time: what was read once may be remembered."""
        made, txs = self.encoding, []
        for _ in range(self.transactions):
            self.number += 1
            if hinted:
                keys = [made.key(b"account/%08d" % self.rng.randrange(self.accounts)) for _ in range(self.reads)]
            else:
                keys = [made.key(b"account/", self.accounts)] * self.reads
            txs.append(made.transaction(self.number, b"".join(map(made.read, keys))))
        return txs

    def round(self, turn: int) -> Figures:
        taken = {}
        for hinted in (True, False)[:: 1 if turn % 2 else -1]:
            txs = self.block(hinted)
            taken[hinted] = seconds(self.workers, txs)
        return {"figure": taken[False] / taken[True], "hinted_ms": 1e3 * taken[True], "found_ms": 1e3 * taken[False]}


class Large(Measure):
    """One block after the other on a large state on disk, nothing else in flight."""

    def __init__(self, accounts: int, transactions: int) -> None:
        super().__init__()
        self.load = PaymentsLoad(accounts)
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=os.getcwd()))  # /tmp may be no disk
        self.workers = self.machine("payments", self.load.genesis(), 2, path=os.path.join(folder, "state"))
        self.transactions = transactions

    def round(self, turn: int) -> Figures:
        txs = self.load.block(self.transactions)
        began = time.perf_counter()
        result = self.workers.execute(txs)
        executed = time.perf_counter()
        self.workers.commit(result)
        ended = time.perf_counter()
        time.sleep(0.5)  # what the state does by itself afterwards is not counted
        return {"figure": 1e3 * (ended - began), "execute_ms": 1e3 * (executed - began), "commit_ms": 1e3 * (ended - executed)}


def _all_workers() -> Policy:
    """Workers, whatever is faster; what it ever was in a revision that has no choice."""
    return Policy.named("all-workers") if "all-workers" in Policy.names() else Policy()


class ArenaBytes(Measure):
    def __init__(self, accounts: int, transactions: int) -> None:
        super().__init__()
        load = PaymentsLoad(accounts)
        self.workers = self.machine("payments", load.genesis(), 2, policy=_all_workers())
        self.txs = load.block(transactions)

    def round(self, turn: int) -> Figures:
        seen = [0]
        self.workers.execute(self.txs, on_progress=lambda progress: seen.append(progress.arena_bytes))
        return {"figure": seen[-1] / len(self.txs)}


MEASURES: dict[str, type[Measure]] = {
    made.__name__: made for made in (Payments, Costly, Stress, Small, Core, Busy, ColdKeys, Large, ArenaBytes)
}


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else comes between the answers
    measure: Measure | None = None
    for line in sys.stdin:
        message = json.loads(line)
        answer: Figures = {}
        if "measure" in message:
            measure = MEASURES[message["measure"]](**message["args"])
            measure.round(0)  # starts workers and fills caches
            gc.collect()
            gc.freeze()
        elif measure is not None and "round" in message:
            answer = measure.round(message["round"])
        elif measure is not None:
            measure.stack.close()
            measure = None
            gc.unfreeze()
            gc.collect()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
