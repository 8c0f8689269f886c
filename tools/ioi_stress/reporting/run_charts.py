"""The charts of a run: what its time goes to, every repetition, and how it goes from block to block."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ioi_stress.notation.text import significant
from ioi_stress.reporting.bars import stacked
from ioi_stress.reporting.lines import REFERENCE, Series, line_chart
from ioi_stress.results.interval import Interval
from ioi_stress.results.result import BlockMeasurement, Result, executing

if TYPE_CHECKING:
    from markupsafe import Markup

_PHASES = ("prepare", "execute", "end_block", "stage", "receipts")


def phases(result: Result) -> Markup | None:
    """Parallel beside sequential: what a repetition spends its time with."""

    def medians(seconds: Sequence[Sequence[Mapping[str, float]]]) -> list[float]:
        sums = [
            {phase: sum(each.get(phase, 0.0) for each in blocks) for phase in (*_PHASES, "total")} for blocks in seconds
        ]
        found = [1000 * statistics.median(each[phase] for each in sums) for phase in _PHASES]
        rest = 1000 * statistics.median(each["total"] - sum(each[phase] for phase in _PHASES) for each in sums)
        return [*found, max(rest, 0.0)]

    whole = result.whole()
    parallel = (
        "in parallel" if any(block.workers for repetition in whole for block in repetition.blocks) else "measured"
    )
    bars = [(parallel, medians([[block.seconds for block in repetition.blocks] for repetition in whole]))]
    beside = [
        [block.sequential_seconds for block in repetition.blocks if block.sequential_seconds is not None]
        for repetition in whole
    ]
    if all(len(each) == len(repetition.blocks) for each, repetition in zip(beside, whole)):
        bars.append(("one by one", medians(beside)))
    committing = significant(
        1000 * statistics.median(sum(block.commit_seconds for block in repetition.blocks) for repetition in whole)
    )
    return stacked(
        bars,
        [
            ("preparing", "prepare"),
            ("executing", "execute"),
            ("end_block", "end_block"),
            ("state root", "stage"),
            ("receipts", "receipts"),
            ("the rest", "other"),
        ],
        title="Where the time of a repetition goes",
        note=f"Medians of all its blocks together. Committing, the same either way, comes on top: {committing} ms.",
        unit="ms",
    )


def repetitions(result: Result) -> Markup | None:
    whole = result.whole()
    if len(whole) < 2:
        return None
    series = [
        Series(
            "in parallel",
            [
                (float(each.number), Interval.of([1000 * sum(executing(block.seconds) for block in each.blocks)]))
                for each in whole
            ],
            "s0",
        )
    ]
    sequential = [
        (float(each.number), Interval.of([1000 * total])) for each in whole if (total := _beside(each.blocks)) is not None
    ]
    if sequential:
        series.append(Series("one by one", sequential, REFERENCE))
    return line_chart(
        series,
        title="Every repetition",
        note="Executing alone. Both in turns: what slows the machine slows both.",
        x="repetition",
        y="ms",
        whole=True,
    )


def _beside(blocks: Sequence[BlockMeasurement]) -> float | None:
    seconds = [executing(block.sequential_seconds) for block in blocks if block.sequential_seconds is not None]
    return sum(seconds) if len(seconds) == len(blocks) else None


def blocks_in_order(result: Result) -> Markup | None:
    """Of runs of several blocks: how it goes from block to block."""
    whole = result.whole()
    if max((len(repetition.blocks) for repetition in whole), default=0) < 2:
        return None
    parallel, sequential = [], []
    for blocks in zip(*(repetition.blocks for repetition in whole)):
        parallel.append(
            (
                float(blocks[0].block),
                Interval.of(block.transactions / max(block.seconds["total"], 1e-9) for block in blocks),
            )
        )
        beside = [
            block.transactions / max(block.sequential_seconds["total"], 1e-9)
            for block in blocks
            if block.sequential_seconds is not None
        ]
        if beside:
            sequential.append((float(blocks[0].block), Interval.of(beside)))
    series = [
        Series("in parallel", parallel, "s0"),
        *([Series("one by one", sequential, REFERENCE)] if sequential else []),
    ]
    return line_chart(
        series,
        title="From block to block",
        note="With the state root.",
        x="block",
        y="transactions per second",
        whole=True,
    )
