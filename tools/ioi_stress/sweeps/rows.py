"""The rows of a sweep: one for every repetition of every point. Their columns, and how a file has their values."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Mapping

from ioi_exec import InputError
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.result import Result, executing

Row = dict[str, Any]
_NUMBER = re.compile(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)|nan")  # as `as_text` writes them

MEASURED: dict[str, type] = {
    "repetition": int,
    "executed_transactions": int,
    "failed_transactions": int,
    **{name: float for name in FIGURES},
    "total_seconds": float,
    "executing_seconds": float,
    "sequential_total_seconds": float,
    "sequential_executing_seconds": float,
    "peak_memory_bytes": int,
    "mode": str,
    "verified": bool,
    "state_root": str,
    "receipts_root": str,
    "machine": str,
    "grid": str,
}
"""What follows the point's columns, by names that no workload's parameter is likely to have. total_seconds: of
`execute`, executing_seconds: of its phases that run transactions; of all blocks. The sequential ones are empty if
nothing was executed one by one beside. mode: of the blocks, joined by +. The roots are those of the last block.
verified: every block compared with sequential execution and equal; empty if that was not wanted."""

MODE_SIMULATED = "simulated"
SIMULATED: dict[str, type] = {"line_ns": int, "line_busy": float}
"""What simulated rows have beside: what moving a cache line took, and the share of the time that the scheduler's were on their way. Their
mode is "simulated", their machine what is assumed of it, and what they have no figure of is empty."""

COLUMNS: dict[str, type] = {"workload": str, "workers": int, "policy": str, **MEASURED}
"""All but the parameters of the workload, which stand after `workload`."""


def row_of(result: Result) -> Row:
    """The measured columns of a result of one repetition, `repetition` and `grid` apart."""
    (repetition,) = result.repetitions
    blocks = repetition.blocks
    beside = [block.sequential_seconds for block in blocks if block.sequential_seconds is not None]
    whole = bool(blocks) and len(beside) == len(blocks)
    figures = repetition.figures()
    return {
        "executed_transactions": repetition.transactions,
        "failed_transactions": sum(block.failed for block in blocks),
        **{name: figures.get(name) for name in FIGURES},
        "total_seconds": repetition.seconds,
        "executing_seconds": sum(executing(block.seconds) for block in blocks),
        "sequential_total_seconds": sum(seconds["total"] for seconds in beside) if whole else None,
        "sequential_executing_seconds": sum(map(executing, beside)) if whole else None,
        "peak_memory_bytes": repetition.peak_memory_bytes,
        "mode": "+".join(sorted({block.mode for block in blocks})),
        "verified": result.verification.ok if result.verification.wanted else None,
        "state_root": blocks[-1].state_root if blocks else "",
        "receipts_root": blocks[-1].receipts_root if blocks else "",
        "machine": machine_id(result.machine),
    }


LASTING = (
    "cpu",
    "architecture",
    "cores",
    "cores_allowed",
    "cores_available",
    "memory_bytes",
    "system",
    "python",
    "ioi_exec",
    "sha256",
)


def machine_id(facts: Mapping[str, Any]) -> str:
    """Twelve hex digits of the facts that last: equal ones are equal machines with equal software."""
    lasting = {name: facts.get(name) for name in LASTING}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()[:12]


def check_simulated(row: Mapping[str, Any]) -> None:
    """Raises ValueError for a simulated row that lacks what those have beside."""
    if row["mode"] == MODE_SIMULATED and (missing := [name for name in SIMULATED if row.get(name) is None]):
        raise ValueError(f"it is simulated and has no {', '.join(missing)}")


def as_text(value: Any) -> str:
    """As a file has it; floats lose nothing."""
    if isinstance(value, tuple):
        value = " ".join(map(as_text, value))
    text = "" if value is None else repr(value) if isinstance(value, float) else str(value)
    if any(ord(character) < 32 for character in text):
        raise InputError(f"{text!r} has a control character, so no line of a file can hold it")
    return text


def parsed(column: str, text: str) -> Any:
    """The value of a file's text. A workload's parameter is a number if it looks like one. Raises ValueError."""
    kind = COLUMNS.get(column, SIMULATED.get(column))
    if text == "" and kind is not str:
        return None
    if kind is bool or kind is None and text in ("True", "False"):
        return {"True": True, "False": False}[text] if text in ("True", "False") else _refuse(text)
    if kind is not None:
        value = kind(text)
        return value if kind is not float or math.isfinite(value) else _refuse_number(text)
    return (float if {*text} & {*".en"} else int)(text) if _NUMBER.fullmatch(text) else text


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text!r} was not measured")


def _refuse(text: str) -> bool:
    raise ValueError(f"{text!r} is neither True nor False")
