"""A timeline in numbers: how many of what, and where each worker's time went."""

from __future__ import annotations

from typing import Any

from ioi_stress.notation.text import table
from ioi_stress.tracing.timeline import CLASSES, Timeline


def shares_table(timeline: Timeline) -> str:
    return table(*shares_cells(timeline))


def shares_cells(timeline: Timeline) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: one for each worker, a column for each class that took any time."""
    shares = timeline.shares()
    duration = max(timeline.duration, 1)
    shown = [name for name in CLASSES if shares[name].any()]
    rows = [
        [f"worker {worker}", *(f"{shares[name][worker] / duration:.1%}" for name in shown)]
        for worker in range(timeline.record.workers)
    ]
    if len(rows) > 1:
        rows.append(["all", *(f"{shares[name].sum() / duration / len(rows):.1%}" for name in shown)])
    return ["", *shown], rows


def counts_line(timeline: Timeline) -> str:
    """Executions by what became of them, and all else that was counted."""
    counts = timeline.counts()
    parts = [f"{count:,} {name}" for name, count in counts.items() if count or name in ("executions", "aborts")]
    solo = timeline.solo() / max(timeline.duration, 1)
    return ", ".join(parts) + (f"; one worker alone for {solo:.1%} of the time" if solo else "")


def to_json(timeline: Timeline) -> dict[str, Any]:
    def word(name: str) -> str:
        return name.replace(" ", "_").replace("-", "_")

    return {
        "duration_ns": timeline.duration,
        "counts": {word(name): count for name, count in timeline.counts().items()},
        "worker_ns": {word(name): each.tolist() for name, each in timeline.shares().items()},
        "solo_ns": timeline.solo(),
    }
