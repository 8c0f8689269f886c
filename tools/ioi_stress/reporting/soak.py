"""The page of a soak: the verdict, everything that was looked at over the time, and what may grow."""

from __future__ import annotations

import statistics
from itertools import groupby
from typing import TYPE_CHECKING

from ioi_stress.notation.text import counted, significant
from ioi_stress.reporting.lines import Series, line_chart
from ioi_stress.reporting.machine import machine_facts_shown
from ioi_stress.reporting.page import page
from ioi_stress.reporting.verdicts import Verdict, sentence
from ioi_stress.results.interval import Interval
from ioi_stress.soaking import SoakReport
from ioi_stress.soaking.quantities import QUANTITIES, Quantity
from ioi_stress.soaking.report import RULE

if TYPE_CHECKING:
    from markupsafe import Markup

_POINTS = 300  # of a line
_FEW_MINUTES = 8


def soak_page(report: SoakReport, command: str | None = None) -> str:
    """Raises InputError without Jinja2."""
    status, words = report.verdict
    kind, word = {0: ("good", "Flat."), 7: ("warn", "No verdict.")}.get(status, ("bad", "Falls short."))
    if report.chaos.interrupted and not report.chaos.defects:
        kind, word = "warn", "Interrupted."
    chaos = report.chaos
    return page(
        "soak.html",
        title="Soak",
        verdicts=[Verdict(kind, word, sentence(words))],
        facts=[
            ("time", f"{chaos.seconds / 60:.1f} minutes"),
            ("blocks", f"{chaos.committed:,} committed, {chaos.verified:,} verified"),
            ("transactions", f"{chaos.transactions:,}"),
            ("faults", f"{chaos.injected:,} in {counted(report.storms, 'storm')}"),
            ("engines started", f"{chaos.engine_starts:,}"),
            ("beside the engine", ", ".join(f"{what} {count:,}" for what, count in report.visits.items()) or "nobody"),
        ],
        command=command,
        rule=RULE,
        charts=[_chart(report, label, list(group)) for label, group in groupby(QUANTITIES, lambda each: each.group)]
        if report.looks
        else [],
        rows=[
            [
                each.quantity.label,
                *(
                    ["", "", "", ""]
                    if each.trend is None or each.allowed is None
                    else [
                        significant(each.trend.level),
                        significant(each.trend.slope),
                        f"{significant(each.trend.low)} to {significant(each.trend.high)}",
                        significant(each.allowed),
                    ]
                ),
                each.quantity.unit,
                each.verdict,
            ]
            for each in report.judged()
        ],
        faults=[[name, f"{each.injected:,}", f"{each.missed:,}", f"{each.effective:,}"] for name, each in chaos.faults.items()],
        machine=machine_facts_shown(report.machine),
    )


def _chart(report: SoakReport, label: str, group: list[Quantity]) -> Markup:
    series = [
        Series(each.label.partition(", ")[2] or ("all" if len(group) > 1 else each.label), points, f"s{number}")
        for number, each in enumerate(group)
        if (points := _points(report, each.name))
    ]
    minutes = report.looks[-1].seconds / 60
    return line_chart(series, title=label.capitalize(), x="minutes", y=group[0].unit or "number", whole=minutes > _FEW_MINUTES)


def _points(report: SoakReport, name: str) -> list[tuple[float, Interval]]:
    """Medians of so many looks that a line has not too many points, from the least to the greatest of them."""
    looks = [(look.seconds, look.values[name]) for look in report.looks if name in look.values]
    size = -(-len(looks) // _POINTS)
    points = []
    for first in range(0, len(looks), size or 1):
        some = looks[first : first + size]
        values = [value for _, value in some]
        middle = Interval(statistics.median(values), min(values), max(values), len(values), 0.0)
        points.append((statistics.median(seconds for seconds, _ in some) / 60, middle))
    return points
