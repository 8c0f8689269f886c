"""The figures of a sweep, one function each.

Of all of them: data is a Sweep, the path of its CSV, or rows; path is where to write the figure (PNG, PDF or SVG by its
ending), if anywhere; where chooses rows by their columns; by is the column that makes the series. They return the
matplotlib Figure, and raise InputError for rows that cannot be drawn so. A point is the median of its repetitions, its
bar the 95 % interval of that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ioi_exec import InputError
from ioi_stress.plot import lines
from ioi_stress.plot.style import (
    drawing,
    from_zero,
    save,
    scale_for,
    series_styles,
    settings,
)
from ioi_stress.sweeps.series import (
    LABELS,
    Source,
    Where,
    check_against,
    column,
    doubtful_at,
    numbers_of,
    phase_of,
    points_of,
    rows_of,
    series_of,
    shown,
    subtitle,
    throughput_of,
    values_of,
    varying,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Path: TypeAlias = "str | os.PathLike[str] | None"
PHASES = {"total": "with the state root", "execute": "executing alone"}


def speedup(
    data: Source, path: Path = None, *, where: Where = None, by: str | None = None, phase: str = "total"
) -> Figure:
    """How many times as fast as one by one, against workers, beside the line of a worker each. phase: as in
    `throughput`."""
    rows = [row for row in rows_of(data, where) if row["workers"] > 0]
    phase = phase_of(rows, phase)
    measure = column("speedup_total" if phase == "total" else "speedup")
    if not any(measure(row) for row in rows):
        raise InputError("no row has a speedup: sweep without --no-sequential, and with workers")
    title, series = series_of(rows, "workers", by)
    workers = numbers_of(rows, "workers")
    with settings():
        figure, [[axes]] = drawing(5.6, 3.4)
        scale_for(axes, "workers", workers)
        ideal = np.linspace(1, max(workers), 50)  # bent where the axis is logarithmic
        axes.plot(ideal, ideal, color="#999999", linestyle=":", label="ideal")
        axes.axhline(1, color="#999999", linewidth=0.8)
        lines.draw_all(axes, series, "workers", measure)
        from_zero(axes)
        axes.set_xlabel("workers")
        axes.set_ylabel(f"speedup over sequential\n({PHASES[phase]})")
        lines.legend(axes, title)
        axes.set_title(subtitle(rows, "workers"), loc="left", color="#555555")
        save(figure, path)
    return figure


def throughput(
    data: Source,
    path: Path = None,
    *,
    against: str = "accounts",
    where: Where = None,
    by: str | None = None,
    phase: str = "total",
) -> Figure:
    """Transactions a second, against the accounts (contention: the fewer the more) or another column with numbers;
    sequential execution beside. phase: "total", all of `execute`, or "execute", without hashing the state."""
    rows = rows_of(data, where)
    phase = phase_of(rows, phase)
    parallel, beside = throughput_of(phase)
    xs = numbers_of(rows, against)
    title, series = series_of(rows, against, by)
    with settings():
        figure, [[axes]] = drawing(5.6, 3.4)
        scale_for(axes, against, xs)
        lines.draw_all(axes, series, against, parallel)
        lines.sequential(axes, series, against, beside)
        from_zero(axes)
        axes.set_xlabel(LABELS.get(against, against.replace("_", " ")))
        axes.set_ylabel(f"transactions per second\n({PHASES[phase]})")
        lines.legend(axes, title)
        axes.set_title(subtitle(rows, against), loc="left", color="#555555")
        save(figure, path)
    return figure


def block_size(
    data: Source, path: Path = None, *, where: Where = None, by: str | None = None, phase: str = "total"
) -> Figure:
    """Throughput against the size of a block."""
    return throughput(data, path, against="block_size", where=where, by=by, phase=phase)


def aborts(
    data: Source, path: Path = None, *, against: str = "accounts", where: Where = None, by: str | None = None
) -> Figure:
    """What conflicts cost: aborts, and executions beyond the first, per transaction, against the accounts or another
    column."""
    rows = [row for row in rows_of(data, where) if row["workers"] != 0]
    if not rows:
        raise InputError("no row was executed by workers, so nothing could be aborted")
    xs = numbers_of(rows, against)
    title, series = series_of(rows, against, by)
    with settings():
        figure, [panels] = drawing(7.2, 3.2, 1, 2, sharey=True)
        measures = [
            ("aborts per transaction", column("aborts_per_transaction")),
            ("re-executions per transaction", lambda row: row["executions_per_transaction"] - 1),
        ]
        for axes, (name, measure) in zip(panels, measures):
            scale_for(axes, against, xs)
            lines.draw_all(axes, series, against, measure)
            axes.set_xlabel(LABELS.get(against, against.replace("_", " ")))
            axes.set_ylabel(name)
        from_zero(panels[0])
        if title:
            lines.legend(panels[1], title)
        panels[0].set_title(subtitle(rows, against), loc="left", color="#555555")
        save(figure, path)
    return figure


def policies(
    data: Source, path: Path = None, *, against: str | None = None, where: Where = None, phase: str = "total"
) -> Figure:
    """Policies side by side: the throughput of each, in a group for every value of what varies beside (`against`, or
    the one column that does)."""
    rows = rows_of(data, where)
    phase = phase_of(rows, phase)
    parallel, beside = throughput_of(phase)
    others = varying(rows, "policy") if against is None else [against]
    if len(others) > 1:
        raise InputError(
            f"{', '.join(others)} vary beside the policy: say against which to draw, and choose one value of the others"
        )
    x = others[0] if others else "workload"
    check_against(rows, x)
    _, series = series_of(rows, x, "policy")
    groups = values_of(rows, x)
    width = 0.8 / len(series)
    with settings():
        figure, [[axes]] = drawing(max(4.6, 1.6 + 0.35 * len(groups) * len(series) + 1.6), 3.4)
        for number, ((_, label, found), style) in enumerate(
            zip(series, series_styles([value for value, _, _ in series]))
        ):
            points = [(groups.index(value), interval) for value, interval in points_of(found, x, parallel)]
            bars = axes.bar(
                [place - 0.4 + (number + 0.5) * width for place, _ in points],
                [interval.median for _, interval in points],
                0.9 * width,
                yerr=lines.around([interval for _, interval in points]),
                color=style["color"],
                label=label,
                error_kw={"elinewidth": 0.9, "capsize": 2.5, "capthick": 0.9},
            )
            doubtful = {groups.index(value) for value in doubtful_at(found, x)}
            for bar, (place, _) in zip(bars, points):
                if place in doubtful:
                    bar.set(facecolor="white", edgecolor=style["color"])
        for number, (_, interval) in enumerate(points_of(rows, x, beside)):
            axes.hlines(
                interval.median,
                number - 0.45,
                number + 0.45,
                color="#555555",
                linestyle="--",
                linewidth=1.2,
                label="sequential" if number == 0 else "_",
            )
        axes.set_xticks(range(len(groups)), [shown(value) for value in groups])
        axes.grid(axis="x", visible=False)
        from_zero(axes)
        axes.set_xlabel(LABELS.get(x, x.replace("_", " ")))
        axes.set_ylabel(f"transactions per second\n({PHASES[phase]})")
        lines.legend(axes, "policy")
        axes.set_title(subtitle(rows, "policy", x), loc="left", color="#555555")
        save(figure, path)
    return figure
