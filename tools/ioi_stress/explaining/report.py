"""An explanation in words and tables."""

from __future__ import annotations

from ioi_stress.explaining import tables
from ioi_stress.explaining.advice import advice
from ioi_stress.explaining.explanation import Explanation
from ioi_stress.explaining.tables import milliseconds
from ioi_stress.notation.text import counted, short, table
from ioi_stress.tracing.summary import shares_table

_ENDS = 6


TOP = 10


def report(found: Explanation, top: int = TOP) -> str:
    """top: rows of each table."""
    parts = [
        _what(found),
        _speedup(found),
        _time(found),
        _tabled(tables.keys(found, top)),
        _tabled(tables.pairs(found, top)),
        _path(found, top),
        _advice(found),
    ]
    return "\n\n".join(part for part in parts if part)


def _what(found: Explanation) -> str:
    return f"{found.recording.title}\nverified: every execution ended with the roots and receipts of sequential execution"


def _speedup(found: Explanation) -> str:
    one, many = min(found.recording.sequential), min(found.recording.parallel)
    bounds = tables.bounds(found)
    lines = [
        f"Speed-up it had on {counted(found.workers, 'worker')}: {short(found.had)}   (one by one "
        f"{milliseconds(one * 1e9)}, in parallel {milliseconds(many * 1e9)}; {short(found.busy)} workers busy on average"
        f"{tables.of_all(len(found.recording.parallel))})",
        f"Best on any number of cores: {short(found.best)}   (all work {milliseconds(found.work)}, critical path "
        f"{milliseconds(found.path.nanoseconds)})",
        "",
        table(bounds.heads, bounds.rows),
        "",
        *bounds.notes,
    ]
    return "\n".join(lines)


def _time(found: Explanation) -> str:
    counts = found.timeline.counts()
    return (
        f"Where the workers' time went\n{shares_table(found.timeline)}\n"
        f"{counts['executions']:,} executions of {counted(found.transactions, 'transaction')}, {counts['aborts']:,} "
        "aborts, "
        f"{counts['suspensions']:,} suspensions; {found.wasted:.1%} of the time of executions was wasted\n"
        f"Other processes had the workers' cores for {found.preempted:.1%} of the time of "
        f"{counted(len(found.recording.records), 'record')}, which is left out of what transactions took"
    )


def _tabled(each: tables.Table, *before: str) -> str:
    """before: lines between title and table."""
    if not each.rows:
        return each.title
    return "\n".join([each.title, *before, table(each.heads, each.rows), *each.notes])


def _path(found: Explanation, top: int) -> str:
    shown = [str(tx) for tx in found.path.transactions]
    if len(shown) > 2 * _ENDS:
        shown = [*shown[:_ENDS], "...", *shown[-_ENDS:]]
    return _tabled(tables.path(found, top), f"  {' -> '.join(shown)}")


def _advice(found: Explanation) -> str:
    return "What follows\n" + "\n".join(f"- {sentence}" for sentence in advice(found))
