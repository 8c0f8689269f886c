"""The figures of the Block-STM paper's evaluation (Gelashvili et al., PPoPP 2023), redone for this engine.

There they are throughput against threads, for each number of accounts and blocks of 1,000 and 10,000; against the
number of accounts; and against the size of a block; with sequential execution as a line. What the paper says of 16 and 32 threads
stands beside, with transactions of its cost and in the largest blocks, where workers go that far. Persistence is not part of it,
and so is not here: throughput is of the execution of transactions alone. Drawn of what `ioi-stress sweep paper` or
`ioi_stress.sweep("paper")` measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ioi_exec import InputError
from ioi_stress.notation.text import counted
from ioi_stress.plot import lines
from ioi_stress.plot.figures import Path
from ioi_stress.plot.style import SEQUENTIAL, drawing, from_zero, save, scale_for, settings
from ioi_stress.sweeps.rows import Row
from ioi_stress.sweeps.series import (
    LABELS,
    Source,
    Where,
    numbers_of,
    rows_of,
    shown,
    subtitle,
    throughput_of,
    values_of,
    varying,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES = ("accounts", "block_size", "workers")
_FACETS = 4

PUBLISHED = {"published, at most": {16: 120_000, 32: 170_000}, "published, contended, at most": {32: 80_000}}
"""Transactions a second by threads, as the paper says them in words of its Aptos payments (arXiv 2203.06871, abstract and evaluation; on
16 cores with two threads each), of which about 10,000 a second are executed one by one: as many as of 100 us here. The other points of
its figures are in no text."""
PUBLISHED_COST_US = 100


def paper(data: Source, path: Path = None, *, where: Where = None) -> Figure:
    """Three rows of panels: against workers, against accounts, against block size; of several policies side by side, on one
    scale. Raises InputError if anything else varies, or for more policies than stand beside each other."""
    rows = [row for row in rows_of(data, where) if row["workers"] > 0]
    missing = [name for name in _AXES if not rows or name not in rows[0]]
    if missing:
        raise InputError(
            f"the paper's figures need {', '.join(missing)}: `ioi-stress sweep paper` measures what they show"
        )
    accounts, blocks, workers = (numbers_of(rows, name) for name in _AXES)
    if others := varying(rows, *_AXES, "policy"):
        raise InputError(f"{', '.join(others)} varies, which it does not in the paper: choose one value")
    policies = values_of(rows, "policy")
    if len(policies) > _FACETS:
        raise InputError(
            f"{len(policies)} policies do not stand beside each other: choose up to {_FACETS}, such as policy={policies[0]}"
        )
    ends, extremes = sorted({blocks[0], blocks[-1]}), sorted({workers[0], workers[-1]})
    with settings():
        wide = 2 * len(policies)
        figure, panels = drawing(7.6 if wide == 2 else 3.4 * wide, 8.4, 3, wide, sharey="row")
        for facet, policy in enumerate(policies):
            of = f", {policy}" if len(policies) > 1 else ""
            mine, first = _at(rows, policy=policy), 2 * facet
            for axes, size in zip(panels[0][first:], ends):
                _panel(axes, _at(mine, block_size=size), "workers", "accounts", workers, accounts, f"blocks of {size:,}{of}")
                if size == blocks[-1] and rows[0].get("cost_us") == PUBLISHED_COST_US:
                    _published(axes, workers[-1])
            for axes, size in zip(panels[1][first:], ends):
                _panel(axes, _at(mine, block_size=size), "accounts", "workers", accounts, workers, f"blocks of {size:,}{of}")
            for axes, number in zip(panels[2][first:], extremes):
                title = f"{counted(number, 'worker')}{of}"
                _panel(axes, _at(mine, workers=number), "block_size", "accounts", blocks, accounts, title)
        for row in panels:
            row[0].set_ylabel("transactions per second")
            from_zero(row[0])  # the others share it
            used = [axes for axes in row if axes.has_data()]
            for axes in row:
                if axes not in used:
                    axes.remove()
            lines.legend(used[-1], "workers" if row is panels[1] else "accounts")
        figure.suptitle(subtitle(rows, *_AXES), fontsize=9, color="#555555", x=0.01, ha="left")
        save(figure, path)
    return figure


def _at(rows: Sequence[Row], **where: Any) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def _panel(
    axes: Axes, rows: Sequence[Row], x: str, by: str, xs: Sequence[Any], values: Sequence[Any], title: str
) -> None:
    parallel, beside = throughput_of("execute")
    scale_for(axes, x, xs)
    series = [(value, shown(value), _at(rows, **{by: value})) for value in values]
    lines.draw_all(axes, series, x, parallel)
    lines.sequential(axes, series, x, beside)
    axes.set_xlabel(LABELS[x])
    axes.set_title(title)


def _published(axes: Axes, most: int) -> None:
    """What was measured elsewhere, up to so many workers."""
    for (label, points), marker in zip(PUBLISHED.items(), "*P"):
        if shown_ones := {threads: tps for threads, tps in points.items() if threads <= most}:
            axes.plot(
                list(shown_ones), list(shown_ones.values()), linestyle="", marker=marker, markersize=8, color=SEQUENTIAL, label=label
            )
