"""The rows that a figure is drawn from, by matplotlib or in a report: grouped into series of points with their intervals."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ioi_exec import InputError
from ioi_stress.notation.text import compact
from ioi_stress.results.interval import CONFIDENCE, Interval
from ioi_stress.sweeps.rows import COLUMNS, MEASURED, MODE_SIMULATED, SIMULATED, Row, as_text, check_simulated
from ioi_stress.sweeps.simulated import interval_of, is_simulated, said, unpredictable
from ioi_stress.sweeps.sweep import Sweep
from ioi_stress.sweeps.where import chosen

Source: TypeAlias = "Sweep | str | os.PathLike[str] | Iterable[Mapping[str, Any]]"
Where: TypeAlias = "Mapping[str, Any] | None"
Measure: TypeAlias = "Callable[[Row], float | None]"
SERIES_MAX = 8
DOUBTFUL = "doubtful"
"""A column of simulated rows that are to be drawn: whether their point cannot be believed."""

LABELS = {
    "workers": "workers",
    "accounts": "accounts",
    "block_size": "transactions in a block",
    "cost_us": "cost of a transaction (us)",
    "s": "exponent s of the popularity",
    "policy": "policy",
}


def rows_of(source: Source, where: Where = None) -> list[Row]:
    """where: only rows whose columns have these values, as `sweeps.where.chosen` takes them.

    Raises InputError for a file that holds no sweep, rows that lack columns, or if nothing is left.
    """
    if isinstance(source, (str, os.PathLike)):
        source = Sweep.read(source)
    if isinstance(source, Sweep):
        rows, name = source.rows, source.file or "the sweep"
    else:
        rows, name = [dict(row) for row in source], "the sweep"
    if rows and (missing := set(COLUMNS) - set(rows[0])):
        raise InputError(f"{name}: rows of a sweep have columns that these lack: {', '.join(sorted(missing))}")
    for row in rows:
        try:
            check_simulated(row)
        except ValueError as error:
            raise InputError(f"{name}: has a row that no sweep makes: {error}") from None
    if len({row["mode"] == MODE_SIMULATED for row in rows}) > 1:
        raise InputError(f"{name}: has rows that were simulated and rows that were measured: give those of one kind")
    if is_simulated(rows):  # before any are left out, as it depends on those of fewer workers
        names = point_columns(rows)
        doubtful = unpredictable(rows, names)
        rows = [{**row, DOUBTFUL: tuple(row[name] for name in names) in doubtful} for row in rows]
    rows = chosen(rows, where or {}, name)
    if not rows:
        raise InputError(f"{name}: holds no rows yet")
    return rows


def point_columns(rows: Sequence[Row]) -> list[str]:
    """What tells points apart: the workload, its parameters, workers and policy."""
    return [name for name in rows[0] if name not in MEASURED and name not in SIMULATED and name != DOUBTFUL]


def values_of(rows: Sequence[Row], column: str) -> list[Any]:
    """The values of a column, sorted; numbers before texts."""
    found = {row.get(column) for row in rows}
    return sorted(
        found, key=lambda value: (isinstance(value, str), str(value) if isinstance(value, str) else value or 0)
    )


def varying(rows: Sequence[Row], *but: str) -> list[str]:
    return [name for name in point_columns(rows) if name not in but and len(values_of(rows, name)) > 1]


def check_against(rows: Sequence[Row], column: str) -> None:
    """Raises InputError if points do not differ by such a column."""
    if column not in point_columns(rows):
        raise InputError(f"there is no column {column} to draw against: there are {', '.join(point_columns(rows))}")


def numbers_of(rows: Sequence[Row], column: str) -> list[Any]:
    """The values of a column that is an x axis. Raises InputError if there is no such column, or it holds no
    numbers."""
    check_against(rows, column)
    values = values_of(rows, column)
    if not placeable(values):
        raise InputError(
            f"{column} has values that are no numbers, or beyond what an axis holds, so nothing can be drawn against it: "
            f"{', '.join(as_text(value) or '(empty)' for value in values)}"
        )
    return values


def placeable(values: Iterable[Any]) -> bool:
    """Whether all are numbers that an axis can have."""
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and (value == 0 or 1e-100 < abs(value) < 1e100)
        for value in values
    )


def series_of(rows: Sequence[Row], x: str, by: str | None = None) -> tuple[str, list[tuple[Any, str, list[Row]]]]:
    """The rows in series, one a combination of everything that varies beside `x`: (what they are called, [(value,
    label, rows)]).

    by: the column that makes the series. Raises InputError where more varies than that, or there are too many to tell
    apart.
    """
    others = varying(rows, x)
    if by is not None and by not in point_columns(rows):
        raise InputError(f"there is no column {by} to make series by: there are {', '.join(point_columns(rows))}")
    if by is not None and (rest := [name for name in others if name != by]):
        raise InputError(
            f"{', '.join(rest)} varies too: choose one value, such as {rest[0]}={as_text(values_of(rows, rest[0])[0])}"
        )
    columns = [by] if by is not None else others
    if len(columns) == 1:
        (column,) = columns
        series = [
            (value, shown(value), [row for row in rows if row[column] == value]) for value in values_of(rows, column)
        ]
        title = LABELS.get(column, column)
    else:
        combined: dict[tuple[Any, ...], list[Row]] = {}
        for row in sorted(
            rows, key=lambda row: tuple((isinstance(row[name], str), row[name] or 0) for name in columns)
        ):
            combined.setdefault(tuple(row[name] for name in columns), []).append(row)
        series = [(", ".join(map(shown, key)), ", ".join(map(shown, key)), found) for key, found in combined.items()]
        title = ", ".join(LABELS.get(name, name) for name in columns)
    if len(series) > SERIES_MAX:
        raise InputError(
            f"{len(series)} series would not be told apart ({title}): choose some values, such as "
            f"{columns[-1]}={as_text(values_of(rows, columns[-1])[0])}"
        )
    return title, series


def points_of(rows: Sequence[Row], x: str, measure: Measure) -> list[tuple[Any, Interval]]:
    """(x, interval of the measure) in ascending order, of the rows that have it."""
    found = []
    for value in values_of(rows, x):
        measured = [each for row in rows if row[x] == value and (each := measure(row)) is not None]
        if measured:
            found.append((value, interval_of(rows, measured)))
    return found


def doubtful_at(rows: Sequence[Row], x: str) -> set[Any]:
    """Where on the axis simulated points stand that cannot be believed."""
    return {row[x] for row in rows if row.get(DOUBTFUL)}


def baselines(
    series: Sequence[Sequence[Row]], x: str, beside: Measure
) -> list[tuple[int | None, list[tuple[Any, Interval]]]]:
    """What ran one by one beside the series, as points: (number of the series, points), or one for all of them (None) if
    they say the same, as series of other workers or policies do: no interval of one is then beyond that of another."""
    pooled = points_of([row for rows in series for row in rows], x, beside)
    each = [points_of(rows, x, beside) for rows in series]
    differing = varying([row for rows in series for row in rows], x, "workers", "policy") if pooled else []
    if not differing or all(_agree([dict(points)[value] for points in each if value in dict(points)]) for value, _ in pooled):
        return [(None, pooled)] if pooled else []
    return [(number, points) for number, points in enumerate(each) if points]


def _agree(intervals: Sequence[Interval]) -> bool:
    return max(each.low for each in intervals) <= min(each.high for each in intervals)


def column(name: str) -> Measure:
    return lambda row: row[name]


def phase_of(rows: Sequence[Row], phase: str) -> str:
    """The phase that is drawn: simulated rows have executing alone. Raises InputError for one that is none."""
    throughput_of(phase)
    return "execute" if is_simulated(rows) else phase


def throughput_of(phase: str) -> tuple[Measure, Measure]:
    """Transactions a second, in parallel and of the sequential execution beside. phase: "total", all of `execute`, or
    "execute", the execution of transactions alone, without hashing the state. Raises InputError."""
    prefix = {"total": "total", "execute": "executing"}.get(phase)
    if prefix is None:
        raise InputError(f'there is no phase {phase!r}: give "total" or "execute"')

    def per_second(name: str) -> Measure:
        return lambda row: row["executed_transactions"] / row[name] if row[name] else None

    return per_second(f"{prefix}_seconds"), per_second(f"sequential_{prefix}_seconds")


def shown(value: Any) -> str:
    """A value as axes and legends have it."""
    return compact(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else as_text(value)


def subtitle(rows: Sequence[Row], *but: str) -> str:
    """What all rows have in common but columns `but`, and what points and bars are."""
    parts = []
    for name in point_columns(rows):
        values = values_of(rows, name)
        if name not in but and len(values) == 1 and values[0] is not None:
            plain, unit = (name[:-3], " us") if name.endswith("_us") else (name.replace("_", " "), "")
            parts.append(shown(values[0]) if name == "workload" else f"{plain} {shown(values[0])}{unit}")
    counts = [len(found) for found in _points(rows).values()]
    least, most = min(counts), max(counts)
    times = f"{least}" if least == most else f"{least} to {most}"
    sure = Interval.of(range(least)).confidence
    bars = f"{CONFIDENCE:.0%} interval" if sure >= CONFIDENCE else "least to greatest"
    measured = f"median and {bars} of {times} repetitions" if most > 1 else "one repetition each"
    if is_simulated(rows):
        lines = sorted({row["line_ns"] for row in rows})
        measured = f"{said(rows)}\nmedian and all of {times} plays, cache lines of {', '.join(map(str, lines))} ns"
        if any(row[DOUBTFUL] for row in rows):
            measured += "\nhollow: not predictable"
    return "\n".join([*textwrap.wrap(", ".join(parts), 78), measured])


def _points(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    names = point_columns(rows)
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found
