"""The page of a sweep: its points, and figures of whatever varies in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from ioi_stress.notation.text import counted, significant
from ioi_stress.reporting import verdicts
from ioi_stress.reporting.again import as_pasted, sweep_command
from ioi_stress.reporting.bars import strip
from ioi_stress.reporting.cells import heading, shown
from ioi_stress.reporting.lines import IDEAL, REFERENCE, Series, line_chart
from ioi_stress.reporting.machine import machine_facts_shown
from ioi_stress.reporting.page import page
from ioi_stress.reporting.rendering import render
from ioi_stress.results.figures import FIGURES, FIRST_FIGURES
from ioi_stress.results.interval import Interval
from ioi_stress.sweeps import Sweep
from ioi_stress.sweeps.file import columns_of
from ioi_stress.sweeps.rows import Row, as_text
from ioi_stress.sweeps.series import (
    LABELS,
    SERIES_MAX,
    Measure,
    baselines,
    column,
    placeable,
    points_of,
    throughput_of,
    values_of,
    varying,
)
from ioi_stress.sweeps.series import (
    shown as short,
)

if TYPE_CHECKING:
    from markupsafe import Markup

RAW_ROWS = 3_000
"""In one page: more are left to the CSV."""
_PANELS = 12  # of one kind; more are left out, and said to be
_CATEGORIES = 16


@dataclass(frozen=True)
class _Kind:
    """A kind of figure. beside: of the sequential execution that ran beside, if that is to be drawn."""

    title: str
    y: str
    measure: Measure
    beside: Measure | None = None


def sweep_page(sweep: Sweep, machine: Mapping[str, Any] | None = None) -> str:
    """The page, the same bytes for the same arguments. machine: facts of the machine that measured it, where they are
    known."""
    names = ", ".join(sorted({row["workload"] for row in sweep.rows})) or "nothing"
    title = f"{names}: sweep of {counted(len(sweep.points()), 'point')}, {counted(len(sweep), 'row')}"
    measured: dict[str, Any] = {}
    if sweep.rows:
        measured = {
            "figures": _figures(sweep),
            "points": _points(sweep),
            "raw": _raw(sweep),
            "machine": None if machine is None else machine_facts_shown(machine),
            "machines": _machines(sweep),
        }
    return page(
        "sweep.html",
        title=title,
        verdicts=verdicts.of_sweep(sweep),
        axes=_axes(sweep),
        command=as_pasted(sweep_command(sweep)),
        measured=bool(measured),
        **measured,
    )


def _axes(sweep: Sweep) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " "), ", ".join(map(shown, values_of(sweep.rows, name))))
        for name in sweep.point_columns
        if sweep.rows
    ]


@dataclass(frozen=True)
class _Part:
    """Figures against one thing. charts: groups of them, one of each kind."""

    title: str
    charts: Sequence[Sequence[Markup]]
    left_out: str = ""


def _figures(sweep: Sweep) -> list[_Part]:
    """Against every column of numbers that varies; what else does becomes series and panels."""
    rows = sweep.rows
    against = [name for name in varying(rows) if placeable(values_of(rows, name))]
    if not against:
        return [_Part("", [[_categories(sweep)]])]
    return [_against(rows, x) for x in against]


def _against(rows: Sequence[Row], x: str) -> _Part:
    others = varying(rows, x)
    few = [name for name in others if len(values_of(rows, name)) <= SERIES_MAX]
    by = max(few, key=lambda name: len(values_of(rows, name)), default=None)
    rest = [name for name in others if name != by]
    panels: list[tuple[str, list[Row]]] = []
    for values in product(*(values_of(rows, name) for name in rest)):
        chosen = [row for row in rows if all(row[name] == value for name, value in zip(rest, values))]
        if len(values_of(chosen, x)) > 1:
            panels.append(
                (", ".join(f"{name.replace('_', ' ')} {short(value)}" for name, value in zip(rest, values)), chosen)
            )
    charts = []
    for kind in _kinds(rows, x):
        drawn = [
            (f"{kind.title}, {name}" if name else kind.title, _series(chosen, x, by, kind))
            for name, chosen in panels[:_PANELS]
        ]
        high = max(
            (interval.high for _, series in drawn for each in series for _, interval in each.points), default=0.0
        )
        charts.append(
            [
                line_chart(series, title=title, x=_name(x), y=kind.y, by=_name(by or ""), high=high)
                for title, series in drawn
                if series
            ]
        )
    more = len(panels) - _PANELS
    left_out = f"{more:,} more panels are left out: ioi-stress plot --where draws what is chosen." if more > 0 else ""
    return _Part(f"Against {_name(x)}", charts, left_out)


def _name(column: str) -> str:
    return LABELS.get(column, column.replace("_", " "))


def _kinds(rows: Sequence[Row], x: str) -> list[_Kind]:
    parallel, beside = throughput_of("total")
    kinds = [_Kind("Throughput", "transactions per second", parallel, beside)]
    if x == "workers" and any(row["speedup_total"] for row in rows):
        kinds.insert(0, _Kind("Speed-up", "times as fast as one by one", column("speedup_total")))
    if any(row["aborts_per_transaction"] for row in rows):
        kinds.append(_Kind("Aborts", "per transaction", column("aborts_per_transaction")))
    return kinds


def _series(rows: Sequence[Row], x: str, by: str | None, kind: _Kind) -> list[Series]:
    values = [None] if by is None else values_of(rows, by)
    chosen = [[row for row in rows if by is None or row[by] == value] for value in values]
    labels = ["in parallel" if by is None else short(value) for value in values]
    series = []
    for number, (label, found) in enumerate(zip(labels, chosen)):
        if points := points_of(found, x, kind.measure):
            series.append(Series(label, _placed(points), f"s{number}"))
    if not series:
        return []
    for which, points in [] if kind.beside is None else baselines(chosen, x, kind.beside):
        if which is None:
            series.append(Series("one by one", _placed(points), REFERENCE))
        else:
            series.append(Series(f"one by one, {labels[which]}", _placed(points), f"{REFERENCE} s{which}"))
    if kind.title == "Speed-up":
        places = [place for each in series for place, _ in each.points if place >= 1]
        if places:
            series.append(Series("as many as workers", [(place, Interval.of([place])) for place in sorted(set(places))], IDEAL))
    return series


def _placed(points: Sequence[tuple[Any, Interval]]) -> list[tuple[float, Interval]]:
    return [(float(place), interval) for place, interval in points]


def _categories(sweep: Sweep) -> Markup:
    """Where nothing varies that is a number: the points side by side."""
    parallel, beside = throughput_of("total")
    names, series = [], []
    points = list(sweep.points().values())[:_CATEGORIES]
    columns = varying(sweep.rows) or ["workload"]
    for label, style, measure in (("in parallel", "s0", parallel), ("one by one", REFERENCE, beside)):
        found = []
        for place, rows in enumerate(points):
            measured = [value for row in rows if (value := measure(row)) is not None]
            if measured:
                found.append((float(place), Interval.of(measured)))
        if found:
            series.append(Series(label, found, style, joined=False))
    names = [", ".join(short(rows[0][name]) for name in columns) for rows in points]
    return line_chart(
        series, title="Throughput", x=", ".join(map(_name, columns)), y="transactions per second", names=names
    )


def _points(sweep: Sweep) -> dict[str, Any]:
    summary = sweep.summary()
    columns = [name for name in sweep.point_columns if len({line[name] for line in summary}) > 1] or ["workload"]
    points = list(sweep.points().values())
    figures = [name for name in FIRST_FIGURES if any(line[name] is not None for line in summary)]
    lines = []
    for line, rows in zip(summary, points):
        throughput = line["transactions_per_second"]
        drawn = (
            strip([row["transactions_per_second"] for row in rows], throughput, "throughput")
            if throughput is not None
            else None
        )
        lines.append(
            [
                ", ".join(shown(line[name]) for name in columns),
                f"{line['repetitions']:,}",
                *(_interval(line[name]) for name in figures),
                drawn,
                line["mode"],
            ]
        )
    heads = [
        ", ".join(name.replace("_", " ") for name in columns),
        "repetitions",
        *map(heading, figures),
        "throughput of each",
        "mode",
    ]
    return {"heads": heads, "rows": lines, "left": (0, len(heads) - 2, len(heads) - 1)}


def _interval(interval: Interval | None) -> str | Markup:
    if interval is None:
        return "\u2013"
    around = f"({significant(interval.low)} to {significant(interval.high)})" if interval.low < interval.high else ""
    return render("median.html", median=significant(interval.median), around=around)


def _raw(sweep: Sweep) -> dict[str, Any]:
    names = columns_of(sweep.parameters)
    lines = [[_cell(name, row[name]) for name in names] for row in sweep.rows[:RAW_ROWS]]
    more = len(sweep) > RAW_ROWS
    return {
        "shown": counted(len(lines), "row"),
        "left_out": f"The first {RAW_ROWS:,} of {len(sweep):,}: the CSV has all of them. " if more else "",
        "columns": [name.replace("_", " ") for name in names],
        "rows": lines,
    }


def _cell(name: str, value: Any) -> str:
    return (
        f"{value:.6g}"
        if isinstance(value, float) and name in FIGURES or name.endswith("_seconds") and value is not None
        else as_text(value)
    )


def _machines(sweep: Sweep) -> str:
    machines = sorted({row["machine"] for row in sweep.rows})
    where = counted(len(machines), "machine")
    return f"Measured on {where}, of which the rows keep no more than a mark: {', '.join(machines)}."
