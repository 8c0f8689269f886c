"""A result as a table of its raw measurements: a row for every block of every repetition."""

from __future__ import annotations

import csv
from dataclasses import fields
from typing import Any, Iterator, TextIO

from ioi_stress.results.result import BlockMeasurement, Result

PHASES = ("prepare", "execute", "end_block", "stage", "receipts", "total")
"""Of `Stats.seconds`; end_block only where it is a phase of its own, in sequential execution."""


def columns() -> list[str]:
    """Those that every row has, in order."""
    special = ("seconds", "busy_seconds", "sequential_seconds")
    plain = [field.name for field in fields(BlockMeasurement) if field.name not in special]
    timed = [f"{phase}_seconds" for phase in PHASES]
    return ["repetition", *plain, "busy_seconds", *timed, *(f"sequential_{name}" for name in timed)]


def rows(result: Result) -> Iterator[dict[str, Any]]:
    """busy_seconds: one number a worker, with spaces between. What was not measured is empty."""
    names = columns()
    for repetition in result.repetitions:
        for block in repetition.blocks:
            row = dict(vars(block), repetition=repetition.number, busy_seconds=" ".join(map(str, block.busy_seconds)))
            for prefix, seconds in (("", block.seconds), ("sequential_", block.sequential_seconds or {})):
                row.update({f"{prefix}{phase}_seconds": seconds.get(phase, "") for phase in PHASES})
            yield {name: row[name] for name in names}


def write_csv(stream: TextIO, result: Result) -> None:
    writer = csv.DictWriter(stream, columns(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(result))
