"""The tables of an explanation, as text and as a page have them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ioi_stress.explaining.conflicts import UNKNOWN
from ioi_stress.explaining.explanation import Explanation
from ioi_stress.notation.text import counted, short


@dataclass(frozen=True)
class Table:
    """title: also where there are no rows. notes: what follows, a line each."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def bounds(found: Explanation) -> Table:
    return Table(
        "Best possible speed-up",
        ["cores", *(str(each.cores) for each in found.bounds)],
        [
            ["no schedule is above", *(short(each.at_most) for each in found.bounds)],
            ["one that knew all is not below", *(short(each.at_least) for each in found.bounds)],
        ],
        [
            *(
                ["It did better than the model allows, so what it had is the bound: see what is assumed."]
                if found.beyond
                else []
            ),
            "Assumed: a transaction begins when all whose writes it reads have ended, and takes as long beside others as alone. Writing",
            "what another one wrote or read is no dependency, as older values are kept; nor is adding to what others add to. Work and path are",
            f"executing alone, for each transaction the least of {counted(len(found.recording.records), 'record')}; fetching committed values, validating, "
            "begin_block, end_block and commit are not counted.",
        ],
    )


def keys(found: Explanation, top: int) -> Table:
    if not found.keys:
        return Table("No key caused a conflict.", [], [])
    rows = []
    for each in found.keys[:top]:
        reach = [""] * 3 if each.key == UNKNOWN else [f"{number:,}" for number in (each.readers, each.writers, each.adders)]
        rows.append(
            [
                found.name(each.key),
                milliseconds(each.lost),
                f"{each.lost / max(found.lost, 1):.0%}",
                f"{each.aborts:,}",
                f"{each.cuts:,}",
                f"{each.suspensions:,}",
                *reach,
            ]
        )
    return Table(
        "Keys that caused conflicts (time lost: executions given up, and waits)",
        ["key", "time lost", "share", "aborts", "cut short", "waits", "readers", "writers", "adders"],
        rows,
        _more(len(found.keys) - top, "key"),
    )


def pairs(found: Explanation, top: int) -> Table:
    if not found.pairs:
        return Table("", [], [])
    rows = []
    for pair in found.pairs[:top]:
        (key, _), *others = pair.keys.most_common()
        name = found.name(key) + (f" and {len(others)} more" if others else "")
        rows.append(
            [
                f"{found.timeline.name(pair.writer)} ended {found.timeline.name(pair.reader)}",
                f"{pair.aborts:,}",
                milliseconds(pair.wasted),
                name,
            ]
        )
    notes = _more(len(found.pairs) - top, "pair")
    by_writer: Counter[int] = Counter()
    for pair in found.pairs:
        by_writer[pair.writer] += pair.aborts
    (writer, most), *_ = by_writer.most_common(1)
    if most > 1 and len(found.pairs) > 1:
        notes.append(f"most were ended by transaction {found.timeline.name(writer)}: {most:,}")
    return Table("Who aborted whom", ["transactions", "times", "time lost", "key"], rows, notes)


def path(found: Explanation, top: int) -> Table:
    """Of the critical path's keys."""
    if not found.path.keys:
        if not found.path.transactions:
            return Table("", [], [])
        why = "none reads what another one wrote" if found.independent else "no chain of others takes longer"
        longest = f"the longest transaction alone, {found.timeline.name(found.path.transactions[0])}, {milliseconds(found.path.nanoseconds)}"
        return Table(f"Critical path: {longest}; {why}.", [], [])
    rows = [
        [
            found.name(each.key),
            f"{each.steps:,}",
            milliseconds(each.nanoseconds),
            f"{each.nanoseconds / found.path.nanoseconds:.0%}",
            "" if each.best_without is None else short(each.best_without),
        ]
        for each in found.path_keys[:top]
    ]
    return Table(
        f"Critical path: {counted(len(found.path.transactions), 'transaction')}, "
        f"{milliseconds(found.path.nanoseconds)}",
        ["key", "steps", "time", "share", "best without it"],
        rows,
        _more(len(found.path_keys) - top, "key"),
    )


def of_all(times: int) -> str:
    """What a time is, of so many."""
    return f"; each the least of {times}" if times > 1 else ""


def _more(number: int, what: str) -> list[str]:
    return [f"and {counted(number, f'more {what}')}"] if number > 0 else []


def milliseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:,.3f} ms" if nanoseconds < 1e8 else f"{nanoseconds / 1e6:,.0f} ms"
