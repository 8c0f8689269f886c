"""Two results side by side: how every figure changed from A to B, and whether that is more than noise.

Repetitions of one run share whatever its machine was doing at the time, which no test can see from inside. So the
sequential
execution that ran beside is compared as well: if that changed, the machine did (or the code that both ways share), and
of the figures the speedup is the one that still says something.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Iterator, Mapping

import numpy as np

from ioi_exec import InputError
from ioi_stress.figures import FIGURES, Figure
from ioi_stress.interval import Interval
from ioi_stress.result import Repetition, Result
from ioi_stress.significance import LEVEL, adjusted_p, can_show, change_of_medians
from ioi_stress.text import significant, table

SEQUENTIAL = "sequential_transactions_per_second"
_FIGURES = {**FIGURES, SEQUENTIAL: Figure("throughput, sequential", "transactions/s", 1, "faster", "slower")}
# Facts of a machine that change by themselves, or vary from one calibration to the next.
_PASSING = ("load", "memory_free_bytes", "python_loop_ns", "sha256_ns")
_CALIBRATIONS = {"python_loop_ns": "a loop in Python", "sha256_ns": "a hash"}
_CALIBRATION_TOLERANCE = 0.2
_WORTH_SAYING = 0.02  # of the speed of sequential execution
_LOADED = 0.25  # of the cores: busy with something else


@dataclass(frozen=True)
class Change:
    """How one figure changed. a, b: its medians. change: b / a, or b - a if `ratio` is off because a median is 0; low,
    high: its interval. p: of as great a difference in any figure were there none, all figures taken together; None: too
    few repetitions.
    outcome: "more", "less", "none" (no difference shown), "equal" (every repetition gave the same number),
    "unknown"."""

    figure: str
    a: Interval
    b: Interval
    ratio: bool
    change: float
    low: float
    high: float
    p: float | None
    outcome: str

    @property
    def better(self) -> bool | None:
        """Whether B is better; None: no difference shown, or one that is no merit."""
        merit = _FIGURES[self.figure].better
        return None if merit == 0 or self.outcome not in ("more", "less") else (merit > 0) == (self.outcome == "more")

    @property
    def verdict(self) -> str:
        """In words, of B."""
        about = _FIGURES[self.figure]
        if self.outcome == "equal":
            return "equal"
        if self.outcome == "unknown":
            return "too few repetitions to tell (four of each at least)"
        if self.outcome == "none":
            return f"no difference shown (below the noise of {self._noise()})"
        word = about.more if self.outcome == "more" else about.less
        if not self.ratio:
            return f"{word}: {significant(self.b.median)} instead of {significant(self.a.median)} {about.unit}"
        if not 0.5 <= self.change <= 2:
            return f"{word}: {significant(self.change)} times ({significant(self.low)}..{significant(self.high)})"
        near, far = sorted(abs(100 * (end - 1)) for end in (self.low, self.high))
        return f"{word} by {_percent(abs(self.change - 1))} % ({near:.{_digits(far)}f}..{far:.{_digits(far)}f})"

    def _noise(self) -> str:
        """The greatest change that the interval holds: one of that size might be there and not be seen."""
        if not self.ratio:
            return f"+-{significant(max(abs(self.low), abs(self.high)))} {_FIGURES[self.figure].unit}"
        if not 0.5 <= self.low <= self.high <= 2:
            return f"a factor of {significant(max(self.high, 1 / self.low if self.low else float('inf')))}"
        return f"+-{_percent(max(abs(self.low - 1), abs(self.high - 1)))} %"

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "better": self.better,
            "verdict": self.verdict,
        }


def _digits(percent: float) -> int:
    return 0 if percent >= 3 else 1 if percent >= 0.3 else 2


def _percent(share: float) -> str:
    return f"{100 * share:.{_digits(100 * share)}f}"


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
                _FIGURES[each.figure].label,
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
                f"would be claimed in {self.level:.0%} of comparisons.",
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
        list(_warnings(one, other)),
        list(_diverged(one, other)),
    )


def _loaded(source: Result | str | os.PathLike[str]) -> tuple[str, Result]:
    if isinstance(source, Result):
        return "", source
    name = os.fspath(source)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: no JSON, which is text") from None
    return name, Result.from_json(text, name)


def _described(result: Result) -> str:
    run = result.parameters.get("run", {})
    name = result.parameters.get("workload", {}).get("name")
    policy = run.get("policy") or {}
    return f"({name}, workers {run.get('workers')}, policy {policy.get('name')}, {len(result.whole())} repetitions)"


def _changes(a: Result, b: Result, level: float) -> list[Change]:
    rows = [[_figures(repetition) for repetition in result.whole()] for result in (a, b)]
    names = [name for name in _FIGURES if all(name in row for side in rows for row in side)]
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
        outcome = "more" if change > none else "less"
    else:
        outcome = "none"
    return Change(name, *intervals, ratio, change, low, high, None if np.isnan(p) else float(p), outcome)


def _figures(repetition: Repetition) -> dict[str, float]:
    figures = repetition.figures()
    if "speedup_total" in figures and figures["speedup_total"]:
        figures[SEQUENTIAL] = figures["transactions_per_second"] / figures["speedup_total"]
    return figures


def _warnings(a: Result, b: Result) -> Iterator[str]:
    for name, one, other in _differences("", a.parameters.get("workload", {}), b.parameters.get("workload", {})):
        yield f"the workloads differ: {name} is {one} in A, {other} in B"
    for name, one, other in _differences("", a.parameters.get("run", {}), b.parameters.get("run", {})):
        if name not in ("repeat", "verify"):
            yield f"they ran differently: {name} is {one} in A, {other} in B"
    for name, one, other in _differences("", a.machine, b.machine):
        if name not in _PASSING:
            yield f"the machines differ: {name} is {one} in A, {other} in B"
    for name, what in _CALIBRATIONS.items():
        times = [result.machine.get(name) for result in (a, b)]
        if all(isinstance(each, (int, float)) and each > 0 for each in times):
            change = times[1] / times[0]  # type: ignore[operator]
            if not 1 / (1 + _CALIBRATION_TOLERANCE) <= change <= 1 + _CALIBRATION_TOLERANCE:
                yield f"the machine was not equally fast: {what} took {change:.2f} times as long before B as before A"
    for side, result in (("A", a), ("B", b)):
        load, cores = result.machine.get("load"), result.machine.get("cores")
        if isinstance(load, (int, float)) and isinstance(cores, int) and load > _LOADED * cores:
            yield f"the machine was loaded when {side} began: load {load} on {cores} cores (a run just before counts too)"
        if result.interrupted or result.error:
            yield f"{side} did not run to its end: {result.error or 'interrupted'}"
        if not result.verification.ok:
            yield f"{side} is not verified: {'; '.join(result.verification.mismatches[:1]) or 'not everything was compared'}"
    yield from _sequential_warning(a, b)


def _sequential_warning(a: Result, b: Result) -> Iterator[str]:
    """Tested by itself: were it one of many figures, a machine that changed would be noticed less easily."""
    sides = [[_figures(repetition).get(SEQUENTIAL) for repetition in result.whole()] for result in (a, b)]
    if None in sides[0] + sides[1] or not can_show(len(sides[0]), len(sides[1])):
        return
    one, other = (np.array(side, dtype=np.float64) for side in sides)
    low, high = change_of_medians(one, other, ratio=True)
    change = float(np.median(other) / np.median(one))
    if (
        abs(change - 1) >= _WORTH_SAYING
        and not low <= 1 <= high
        and adjusted_p(one[:, None], other[:, None])[0] <= LEVEL
    ):
        yield (
            f"sequential execution itself went {change:.2f} times as fast in B: the machine was in another condition, or "
            "the code changed that both ways of execution share; trust the speedup rather than the throughput"
        )


def _differences(prefix: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(name, in a, in b) of everything that differs, at any depth."""
    for name in [*a, *(name for name in b if name not in a)]:
        one, other = a.get(name), b.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(f"{prefix}{name}.", one, other)
        elif one != other:
            yield prefix + name, one, other


def _diverged(a: Result, b: Result) -> Iterator[str]:
    """Blocks of one workload that ended with different roots. State roots of different trees are not compared."""
    if a.parameters.get("workload") != b.parameters.get("workload"):
        return
    trees = [result.parameters.get("run", {}).get("tree") for result in (a, b)]
    for name in ("state_root", "receipts_root") if trees[0] == trees[1] else ("receipts_root",):
        roots: dict[int, set[str]] = {}
        for result in (a, b):
            for repetition in result.repetitions:
                for block in repetition.blocks:
                    roots.setdefault(block.block, set()).add(getattr(block, name))
        for number, found in sorted(roots.items()):
            if len(found) > 1:
                yield (
                    f"block {number} of the same workload and seed ended with {len(found)} different "
                    f"{name.replace('_', ' ')}s: {', '.join(sorted(found))}"
                )
                break
