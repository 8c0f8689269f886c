"""What a run measured, as it is kept in a file: parameters, machine, every repetition raw, and what became of the check.

A repetition is one execution of all blocks of the workload from its genesis on. Figures with a confidence interval are made of
repetitions when they are asked for (`Result.summary`), never kept instead of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Mapping

from ioi_exec import InputError
from ioi_stress.results.interval import Interval

FORMAT = "ioi-stress/1"


@dataclass
class BlockMeasurement:
    """One block of one repetition. Seconds are wall time; those of the sequential execution beside it are None if there was none."""

    block: int
    transactions: int
    failed: int
    mode: str
    policy: str
    workers: int
    executions: int
    validations: int
    aborts: int
    suspensions: int
    retries: int
    seconds: dict[str, float]
    """By phase, as `Stats.seconds` has them; "total" is `execute`."""
    commit_seconds: float
    busy_seconds: list[float]
    sequential_seconds: dict[str, float] | None
    state_root: str
    receipts_root: str
    memory_bytes: int = 0
    """Of the process and its workers when the block had been executed and was not committed yet; of a row of small blocks, when
    that was last looked at."""


@dataclass
class Repetition:
    number: int
    blocks: list[BlockMeasurement]
    peak_memory_bytes: int = 0
    """The most of its blocks."""

    @property
    def transactions(self) -> int:
        return sum(block.transactions for block in self.blocks)

    @property
    def seconds(self) -> float:
        """Of `execute`, over all blocks."""
        return sum(block.seconds["total"] for block in self.blocks)

    def figures(self) -> dict[str, float]:
        """What is measured, one number a name: the columns of a sweep, the rows of a table."""
        n = max(self.transactions, 1)
        figures = {
            "transactions_per_second": self.transactions / self.seconds if self.seconds else 0.0,
            "execute_seconds": sum(block.seconds.get("execute", 0.0) for block in self.blocks),
            "stage_seconds": sum(block.seconds.get("stage", 0.0) for block in self.blocks),
            "commit_seconds": sum(block.commit_seconds for block in self.blocks),
            "executions_per_transaction": sum(block.executions for block in self.blocks) / n,
            "aborts_per_transaction": sum(block.aborts for block in self.blocks) / n,
            "suspensions_per_transaction": sum(block.suspensions for block in self.blocks) / n,
            "validations_per_transaction": sum(block.validations for block in self.blocks) / n,
        }
        busy, room = sum(sum(block.busy_seconds) for block in self.blocks), sum(
            block.seconds.get("execute", 0.0) * len(block.busy_seconds) for block in self.blocks
        )
        figures["occupancy"] = min(busy / room, 1.0) if room else 0.0
        beside = [block.sequential_seconds for block in self.blocks]
        if beside and all(seconds is not None for seconds in beside):
            sequential = [seconds for seconds in beside if seconds is not None]
            figures["speedup"] = sum(map(executing, sequential)) / max(
                sum(executing(block.seconds) for block in self.blocks), 1e-9
            )
            figures["speedup_total"] = sum(seconds["total"] for seconds in sequential) / max(self.seconds, 1e-9)
        return figures


def executing(seconds: Mapping[str, float]) -> float:
    """The phases that run transactions: what the worker count can change. (Sequentially end_block is a phase of its own.)"""
    return seconds.get("execute", 0.0) + seconds.get("end_block", 0.0)


@dataclass
class Verification:
    """Executions of blocks that were compared with sequential execution, of how many there were. mismatches: what differed, one
    line each. shrunk: what became of the first of them. files: that show it again, and the command that does so."""

    wanted: bool = False
    executed: int = 0
    compared: int = 0
    mismatches: list[str] = field(default_factory=list)
    shrunk: str = ""
    files: list[str] = field(default_factory=list)
    replay: str = ""

    @property
    def ok(self) -> bool:
        """Nothing differed, and everything was compared that was to be."""
        return not self.mismatches and (not self.wanted or self.compared == self.executed)


def _check(result: Result) -> None:
    """Raises TypeError or ValueError for what no measurement has, and KeyError: whoever reads it may rely on the rest."""
    if not isinstance(result.parameters["workload"]["name"], str):
        raise TypeError("the workload's name is no text")
    dict(result.parameters["workload"]["parameters"]), dict(result.parameters["run"])
    verification = result.verification
    for texts in (verification.mismatches, verification.files, [verification.shrunk, verification.replay]):
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError("what the verification found is no text")
    for repetition in result.repetitions:
        for block in repetition.blocks:
            executed = [block.seconds, *([] if block.sequential_seconds is None else [block.sequential_seconds])]
            counts = [getattr(block, name) for name in _COUNTS]
            for seconds in executed:
                seconds["total"]
                counts += seconds.values()
            for number in (*counts, *block.busy_seconds, repetition.peak_memory_bytes):
                if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < _MOST:
                    raise ValueError(f"repetition {repetition.number}, block {block.block}: {str(number)[:40]!r} was not measured")
            for text in (block.mode, block.policy, block.state_root, block.receipts_root):
                if not isinstance(text, str):
                    raise TypeError(f"repetition {repetition.number}, block {block.block}: {text!r} is no text")


_COUNTS = (
    "block", "transactions", "failed", "workers", "executions", "validations", "aborts", "suspensions", "retries", "commit_seconds",
    "memory_bytes",
)
_MOST = 1e18  # of any number here; false for NaN as well


@dataclass
class Result:
    """parameters: workload (name and all its parameters) and run (workers, policy, ...), as JSON has them.

    interrupted: by Ctrl-C. error: what else ended it early; empty if nothing did. The last repetition is then not whole."""

    parameters: dict[str, Any]
    machine: dict[str, Any]
    repetitions: list[Repetition] = field(default_factory=list)
    verification: Verification = field(default_factory=Verification)
    interrupted: bool = False
    error: str = ""

    def whole(self) -> list[Repetition]:
        """The repetitions that are comparable: all, or without the last if that was cut short and is not the only one."""
        most = max((len(repetition.blocks) for repetition in self.repetitions), default=0)
        return [repetition for repetition in self.repetitions if len(repetition.blocks) == most]

    def summary(self) -> dict[str, Interval]:
        """The interval of every figure that all whole repetitions have."""
        rows = [repetition.figures() for repetition in self.whole()]
        names = [name for name in rows[0] if all(name in row for row in rows)] if rows else []
        return {name: Interval.of(row[name] for row in rows) for name in names}

    @property
    def ok(self) -> bool:
        return self.verification.ok and not self.interrupted and not self.error

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            **asdict(self),
            "summary": {name: interval.to_json() for name, interval in self.summary().items()},
        }

    @classmethod
    def from_json(cls, text: str, source: str) -> Result:
        """Raises InputError, which names `source`, for what no run of this format wrote."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source}: no JSON: {error}") from None
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise InputError(f'{source}: no result of ioi-stress: "format" must be "{FORMAT}"; `ioi-stress run --json` writes one')
        try:
            result = cls(
                dict(value["parameters"]),
                dict(value["machine"]),
                [
                    Repetition(
                        each["number"], [BlockMeasurement(**block) for block in each["blocks"]], each["peak_memory_bytes"]
                    )
                    for each in value["repetitions"]
                ],
                Verification(**value["verification"]),
                bool(value["interrupted"]),
                str(value["error"]),
            )
            _check(result)
            return result
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{source}: a result of ioi-stress that is damaged or of another version: {error!r}") from None
