"""Two results side by side: how every figure changed from A to B, and whether that is more than noise.

A difference must be more than a machine that drifts steadily from A's first repetition to B's last would make. But repetitions of one
run share whatever its machine was doing at the time, which no test can see from inside: what changed at once between the two, or in a
long time between them, is not told from a difference. The rounds of a sweep are interleaved, and tell (sweeps/differences.py). So the
sequential execution that ran beside is compared as well: if that changed, the machine did (or the code that both ways
share), and of the figures the speedup is the one that still says something.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ioi_exec import InputError
from ioi_exec.arguments import path
from ioi_exec.files.whole import read_whole
from ioi_stress.notation.text import significant, table
from ioi_stress.refusals import refusing
from ioi_stress.results.change import COMPARED, Change, compared_figures
from ioi_stress.results.circumstances import diverged, warnings
from ioi_stress.results.interval import Interval
from ioi_stress.results.result import Result
from ioi_stress.results.significance import LEVEL, adjusted_p, beyond_drift_p, can_show, change_of_medians


@dataclass
class Comparison:
    """level: the chance of calling any figure different when nothing is. warnings: why A and B may differ for other
    reasons than the one meant. diverged: blocks that should have ended alike and did not, which is a fault and not a
    figure."""

    a: str
    b: str
    level: float
    changes: list[Change]
    warnings: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "changes": [change.to_json() for change in self.changes]}

    def __str__(self) -> str:
        lines = [
            [
                COMPARED[each.figure].label,
                significant(each.a.median),
                significant(each.b.median),
                _shown_change(each),
                each.verdict,
            ]
            for each in self.changes
        ]
        return "\n".join(
            [
                f"A  {self.a}",
                f"B  {self.b}",
                "",
                *_left_last(lines),
                "",
                "Medians; in brackets what holds the true change with 95 %. Were A and B the same, any difference at all "
                f"would be claimed in {self.level:.0%} of comparisons, also on a machine that drifts steadily. What changed at once between "
                "the two runs cannot be told from a difference: points of one sweep, which take turns, do not have that.",
                *(f"warning: {warning}" for warning in self.warnings),
                *(f"DIVERGED: {what}" for what in self.diverged),
            ]
        )

    __repr__ = __str__


def _left_last(lines: list[list[str]]) -> list[str]:
    """A table whose last column is text."""
    numbers = table(["figure", "A", "B", "B / A"], [line[:-1] for line in lines]).splitlines()
    width = max(map(len, numbers))
    return [f"{row:<{width}}  {words}" for row, words in zip(numbers, ["B is", *(line[-1] for line in lines)])]


def _shown_change(change: Change) -> str:
    return f"{change.change:.3f}" if change.ratio else "-"


@refusing
def compare(
    a: Result | str | os.PathLike[str], b: Result | str | os.PathLike[str], *, force: bool = False, level: float = LEVEL
) -> Comparison:
    """Compare two results, or the files they are in (JSON, as `ioi-stress run --json` prints it).

    force: even if they are of different workloads. The same results give the same comparison: nothing in it is random.
    Raises InputError for files that hold no result, workloads of different names unless `force`, and results of no
    repetition.
    """
    results = [_loaded(each) for each in (a, b)]
    names = [f"{name} " + _described(result) for name, result in results]
    one, other = (result for _, result in results)
    workloads = [str(result.parameters.get("workload", {}).get("name")) for _, result in results]
    if workloads[0] != workloads[1] and not force:
        raise InputError(
            f"these are different workloads, {workloads[0]} and {workloads[1]}, whose figures say nothing about each "
            "other: compare results of one workload, or give force (--force)"
        )
    for name, result in results:
        if not result.whole():
            raise InputError(f"{name}: holds no repetition to compare")
    return Comparison(
        names[0].strip(),
        names[1].strip(),
        level,
        _changes(one, other, level),
        list(warnings(one, other)),
        list(diverged(one, other)),
    )


def _loaded(source: Result | str | os.PathLike[str]) -> tuple[str, Result]:
    if isinstance(source, Result):
        return "", source
    name = path("the result", source)
    try:
        with open(name, "rb") as stream:
            text = read_whole(stream, name).decode()
    except UnicodeDecodeError:
        raise InputError(f"{name}: no JSON, which is text") from None
    return name, Result.from_json(text, name)


def _described(result: Result) -> str:
    run = result.parameters.get("run", {})
    name = result.parameters.get("workload", {}).get("name")
    policy = run.get("policy") or {}
    return f"({name}, workers {run.get('workers')}, policy {policy.get('name')}, {len(result.whole())} repetitions)"


def _changes(a: Result, b: Result, level: float) -> list[Change]:
    rows = [[compared_figures(repetition) for repetition in result.whole()] for result in (a, b)]
    names = [name for name in COMPARED if all(name in row for side in rows for row in side)]
    one, other = (
        np.array([[row[name] for name in names] for row in side], dtype=np.float64).reshape(len(side), -1)
        for side in rows
    )
    constant = (one == one[0]).all(axis=0) & (other == one[0]).all(axis=0)
    p = np.full(len(names), np.nan)
    if can_show(len(one), len(other), level) and not constant.all():
        p[~constant] = adjusted_p(one[:, ~constant], other[:, ~constant])
    return [_change(name, one[:, i], other[:, i], p[i], bool(constant[i]), level) for i, name in enumerate(names)]


def _change(name: str, a: Any, b: Any, p: float, constant: bool, level: float) -> Change:
    intervals = Interval.of(a.tolist()), Interval.of(b.tolist())
    ratio = all(each.median > 0 for each in intervals)
    change = intervals[1].median / intervals[0].median if ratio else intervals[1].median - intervals[0].median
    low, high = change_of_medians(a, b, ratio=ratio)
    none = 1.0 if ratio else 0.0
    if constant:
        outcome = "equal"
    elif np.isnan(p):
        outcome = "unknown"
    elif p <= level and not low <= none <= high:
        outcome = ("more" if change > none else "less") if beyond_drift_p(a, b) <= level else "drift"
    else:
        outcome = "none"
    return Change(name, *intervals, ratio, change, low, high, None if np.isnan(p) else float(p), outcome)
