"""The rows of a sweep in memory: looked at, summed up, handed on."""

from __future__ import annotations

import csv
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ioi_exec import Error
from ioi_exec.cli.streams import output_file
from ioi_stress.notation.text import counted, significant, table
from ioi_stress.results.figures import FIGURES
from ioi_stress.results.interval import Interval
from ioi_stress.results.significance import LEVEL
from ioi_stress.sweeps.differences import Difference, differences
from ioi_stress.sweeps.file import columns_of, read_rows
from ioi_stress.sweeps.rows import COLUMNS, MEASURED, SIMULATED, Row, as_text
from ioi_stress.sweeps.simulated import interval_of, is_simulated, said, unpredictable

SHOWN = ("transactions_per_second", "speedup", "executions_per_transaction", "aborts_per_transaction")
_COMPARED = 20  # lines


@dataclass(repr=False)
class Sweep:
    """rows: one a repetition, in the order in which they ran; the columns are said in `ioi_stress.sweeps.rows`.

    parameters: the workload's, which every row has. wanted: rows that the whole grid has; None: not known, the rows are
    a file's.
    skipped: how many of the rows a file held already. diverged: points that ended with other roots than the same
    workload did elsewhere, or than sequential execution. interrupted: by Ctrl-C. In a notebook it shows itself as a
    table.
    """

    rows: list[Row]
    parameters: list[str]
    wanted: int | None = None
    skipped: int = 0
    interrupted: bool = False
    diverged: list[str] = field(default_factory=list)
    file: str | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Sweep:
        """Of a file, finished or not. Raises InputError for any other file, OSError."""
        columns, rows = read_rows(path)
        parameters = [name for name in columns if name not in COLUMNS and name not in SIMULATED]
        return cls(rows, parameters, diverged=divergences(rows, parameters), file=os.fspath(path))

    @property
    def ok(self) -> bool:
        """All rows are there, and nothing diverged."""
        return not self.diverged and not self.interrupted

    @property
    def point_columns(self) -> list[str]:
        return ["workload", *self.parameters, "workers", "policy"]

    @property
    def simulated(self) -> bool:
        """Its rows are in virtual time."""
        return is_simulated(self.rows)

    @property
    def _columns(self) -> list[str]:
        return columns_of(self.parameters, self.simulated)

    def points(self) -> dict[tuple[Any, ...], list[Row]]:
        """The rows of every point, by the values of `point_columns`, sorted by them."""
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.rows:
            found.setdefault(tuple(row[name] for name in self.point_columns), []).append(row)
        return {
            key: found[key]
            for key in sorted(found, key=lambda key: [(isinstance(each, str), each or 0) for each in key])
        }

    def differences(self) -> list[Difference]:
        """How the points' throughput compares, and which differences are no noise: see `sweeps.differences`. None of simulated points."""
        return [] if self.simulated else differences(self)

    def summary(self, figures: Sequence[str] = tuple(FIGURES)) -> list[dict[str, Any]]:
        """For every point its columns, "repetitions", "mode" (all that occurred), and an Interval or None for each
        figure."""
        summary = []
        doubtful = unpredictable(self.rows, self.point_columns)
        for key, rows in self.points().items():
            shown: dict[str, Any] = dict(zip(self.point_columns, key), repetitions=len(rows))
            for name in figures:
                measured = [row[name] for row in rows if row[name] is not None]
                shown[name] = interval_of(rows, measured) if measured else None
            modes = sorted({row["mode"] for row in rows})
            shown["mode"] = ", ".join([*modes, *(["not predictable"] if key in doubtful else [])])
            summary.append(shown)
        return summary

    def to_numpy(self) -> npt.NDArray[Any]:
        """A structured array, one element a row. What is missing is NaN; integers that are missing somewhere are
        floats."""
        names = self._columns
        columns = {name: np.array(_filled([row[name] for row in self.rows], COLUMNS.get(name))) for name in names}
        made = np.empty(len(self.rows), dtype=[(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            made[name] = column
        return made

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """What `file` would have held. Raises OSError."""
        names = self._columns
        with output_file(os.fspath(path)) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([as_text(row[name]) for name in names] for row in self.rows)

    def to_pandas(self) -> Any:
        """A DataFrame. Raises ioi_exec.Error where there is no pandas, which nothing else here needs."""
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise Error(
                "to_pandas needs pandas, which is not installed: pip install pandas, or use to_numpy or to_csv"
            ) from None
        return pandas.DataFrame(self.rows, columns=self._columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return self._title()
        compared = _compared(self.differences())
        return "\n".join([self._title(), table(*self._cells()), *(["", *compared] if compared else [])])

    def _repr_html_(self) -> str:
        heads, lines = self._cells()
        row = "<tr>{}</tr>".format
        body = "".join(row("".join(f"<td>{html.escape(cell)}</td>" for cell in line)) for line in lines)
        head = row("".join(f"<th>{html.escape(name)}</th>" for name in heads))
        return f"<p>{html.escape(self._title())}</p><table><thead>{head}</thead><tbody>{body}</tbody></table>"

    def _title(self) -> str:
        names = ", ".join(sorted({row["workload"] for row in self.rows})) or "nothing"
        title = f"sweep of {names}: {counted(len(self.points()), 'point')}, {counted(len(self.rows), 'row')}"
        if self.wanted is not None and len(self.rows) < self.wanted:
            title += f" of {self.wanted:,}"
        if len(machines := {row["machine"] for row in self.rows}) > 1:
            title += f", on {len(machines)} machines, which should not be compared"
        if self.simulated:
            title += f", {said(self.rows)}, {min(row['machine'] for row in self.rows)}"
        if self.interrupted:
            title += ", interrupted"
        return title + (f", {len(self.diverged)} DIVERGED" if self.diverged else "")

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Of a table: heads and lines. A parameter with one value throughout is left out, unless nothing would be
        left."""
        summary = self.summary(SHOWN)
        varying = [name for name in self.point_columns if len({line[name] for line in summary}) > 1] or ["workers"]
        heads = [*varying, "n", "transactions/s", "speedup", "executions/tx", "aborts/tx", "mode"]
        return heads, [
            [
                *(as_text(line[name]) for name in varying),
                str(line["repetitions"]),
                *(_shown(line[name]) for name in SHOWN),
                line["mode"],
            ]
            for line in summary
        ]


def _compared(found: Sequence[Difference]) -> list[str]:
    """A line each, of throughput; those that are shown first."""
    lines = []
    for each in sorted(found, key=lambda each: not each.shown)[:_COMPARED]:
        where = "".join(f", {name} {as_text(value)}" for name, value in each.where.items())
        around = f"{significant(each.ratio)} times ({significant(each.low)}..{significant(each.high)})"
        what = each.verdict if each.p is None else f"{each.verdict}, {around}"
        lines.append(f"{each.column} {as_text(each.value)} beside {as_text(each.against)}{where}: {what}")
    more = len(found) - len(lines)
    if found:
        lines.insert(0, f"Throughput, round by round; were all points the same, any would be called different in {LEVEL:.0%} of sweeps")
    return lines + ([f"and {counted(more, 'more comparison')} (--json has all)"] if more else [])


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    around = f" ({significant(interval.low)}..{significant(interval.high)})" if interval.low < interval.high else ""
    return significant(interval.median) + around


def _filled(values: list[Any], kind: type | None) -> list[Any]:
    if None not in values:
        return values
    if kind is str or any(isinstance(value, str) for value in values):
        return ["" if value is None else str(value) for value in values]
    return [float("nan") if value is None else float(value) for value in values]


def divergences(rows: Sequence[Mapping[str, Any]], parameters: Sequence[str]) -> list[str]:
    """What must not be: rows that differ from sequential execution, and one workload that ended with several roots.
    Neither workers nor policy nor the repetition may change what a block does. Roots that were met before are not named
    again."""
    found = []
    roots: dict[tuple[Any, ...], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in rows:
        where = ", ".join(f"{name} {as_text(row[name])}" for name in (*parameters, "workers", "policy", "repetition"))
        if row["verified"] is False:
            found.append(f"{where}: differed from sequential execution")
        workload = (row["workload"], *(row[name] for name in parameters))
        ended = row["state_root"], row["receipts_root"]
        others = roots.setdefault(workload, {})
        if others and ended not in others:
            found.append(f"{where}: ended with other roots than the same workload before")
        others.setdefault(ended, row)
    return found


assert set(SHOWN) <= set(MEASURED)
