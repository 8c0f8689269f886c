"""What `against` measures: each row one figure, how it comes about, which way is better, and what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator


@dataclass(frozen=True)
class Row:
    """measure: the name of a class in side.py; args: its arguments. rounds: unless others are asked for."""

    name: str
    unit: str
    higher: bool
    """Whether a higher figure is the better one."""
    target: float
    measure: str
    args: dict[str, Any]
    rounds: int = 11

    def met(self, figure: float) -> bool:
        return figure >= self.target if self.higher else figure <= self.target


def _payments() -> Iterator[Row]:
    for name, accounts, pattern, transactions, target in (
        ("10,000 accounts", 10_000, "uniform", 10_000, 1.15),
        ("100 accounts", 100, "uniform", 10_000, 0.97),
        ("10 accounts", 10, "uniform", 10_000, 0.97),
        ("2 accounts", 2, "uniform", 10_000, 0.97),
        ("hot receiver", 10_000, "hot", 10_000, 0.97),
        ("chain", 10_001, "chain", 10_000, 0.97),
        ("200,000 transactions", 100_000, "uniform", 200_000, 1.15),
    ):
        args = {"accounts": accounts, "pattern": pattern, "transactions": transactions}
        yield Row(f"payments, {name}", "x of one by one", True, target, "Payments", args, 5 if transactions > 10_000 else 11)


def _small() -> Iterator[Row]:
    for size in (0, 1, 10, 100, 1000):
        for when, idle_ms in (("back to back", 0), ("after 5 ms idle", 5)):
            args = {"transactions": size, "idle_ms": idle_ms, "blocks": 10 if size == 1000 else 20}
            yield Row(f"small, {size} {when}", "time over one by one", False, 1.1, "Small", args)


def _core() -> Iterator[Row]:
    for name, case, over, under, target in (
        ("10,000 accounts, 1 worker", "10,000", "one_worker_ns", "sequential_ns", 2.0),
        ("10,000 accounts, 2 workers", "10,000", "two_workers_ns", "sequential_ns", 1.2),
        ("hot receiver, 2 over 1", "hot receiver", "two_workers_ns", "one_worker_ns", 1.05),
        ("2 accounts, 2 over 1", "2", "two_workers_ns", "one_worker_ns", 1.05),
    ):
        of = "1 worker" if under == "one_worker_ns" else "plain C"
        yield Row(f"core, {name}", f"time over {of}", False, target, "Core", {"case": case, "over": over, "under": under})


def _python() -> Iterator[Row]:
    yield Row("python, 2 gets and 2 puts", "us busy a transaction", False, 3.0, "Busy", {"gets": 2, "puts": 2})
    for us, targets in ((10, (1.9, 1.6, 0.97)), (100, (1.95, 1.6, 0.98))):
        transactions = 20_000 // us
        cases = ("10,000 accounts", 10_000, "uniform"), ("10 accounts", 10, "uniform"), ("chain", transactions + 1, "chain")
        for (name, accounts, pattern), target in zip(cases, targets):
            args = {"microseconds": us, "accounts": accounts, "pattern": pattern, "transactions": transactions}
            yield Row(f"python {us} us, {name}", "x of one by one", True, target, "Costly", args, 9)


def _native() -> Iterator[Row]:
    for name, workload, more, target in (
        ("uniform", "uniform", {}, 1.9),
        ("zipf 0.9", "zipf", {"s": 0.9}, 1.8),
        ("zipf 1.2", "zipf", {"s": 1.2}, 1.6),
        ("market", "market", {}, 1.6),
        ("hot", "hot", {}, 0.97),
        ("chain", "chain", {}, 0.97),
    ):
        args = {"workload": workload, "parameters": {"cost_us": 100, "block_size": 1000, **more}}
        yield Row(f"native 100 us, {name}", "x of one by one", True, target, "Stress", args, 7)


def _sleeps() -> Iterator[Row]:
    for name, workload, more, block, target in (
        ("10,000 accounts", "uniform", {"accounts": 10_000}, 3200, 26.0),
        ("100 accounts", "uniform", {"accounts": 100}, 3200, 12.5),
        ("chain", "chain", {}, 200, 0.95),
        ("10,000 accounts, Python", "uniform", {"accounts": 10_000, "vm": "python"}, 3200, 24.0),
    ):
        parameters = {"cost": "sleep", "cost_us": 1000, "block_size": block, **more}
        args = {"workload": workload, "parameters": parameters, "workers": 32, "alone": 200}
        yield Row(f"sleep 1 ms, {name}", "x of one by one, 32 workers", True, target, "Stress", args, 5)
        if name == "100 accounts":
            args = {**args, "figure": "validations"}
            yield Row("sleep 1 ms, validations", "a transaction, 32 workers, 100 accounts", False, 2.0, "Stress", args, 5)


ROWS = (
    *_payments(), *_small(), *_core(), *_python(), *_native(), *_sleeps(),
    Row(
        "cold keys", "time over the same with keys hinted", False, 1.2,
        "ColdKeys", {"accounts": 100_000, "reads": 20, "transactions": 500}, 7,
    ),
    Row(
        "1,000,000 accounts", "ms of execute + commit", False, 180.0,
        "Large", {"accounts": 1_000_000, "transactions": 10_000}, 9,
    ),
    Row("arena", "bytes a payment", False, 350.0, "ArenaBytes", {"accounts": 10_000, "transactions": 10_000}, 3),
)
