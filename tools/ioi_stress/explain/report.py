"""An explanation in words and tables."""

from __future__ import annotations

import statistics
from collections import Counter

from ioi_stress.explain.advice import advice
from ioi_stress.explain.conflicts import UNKNOWN
from ioi_stress.explain.explanation import Explanation
from ioi_stress.text import counted, short, table
from ioi_stress.trace.summary import shares_table

_ENDS = 6


def report(found: Explanation, top: int) -> str:
    parts = [
        _what(found),
        _speedup(found),
        _time(found),
        _keys(found, top),
        _pairs(found, top),
        _path(found, top),
        _advice(found),
    ]
    return "\n\n".join(part for part in parts if part)


def _what(found: Explanation) -> str:
    recording = found.recording
    failed = f" ({recording.result.failed:,} failed)" if recording.result.failed else ""
    return (
        f"{recording.workload.name}: block {recording.number}, {counted(found.transactions, 'transaction')}{failed}, "
        f"{counted(found.workers, 'worker')}, policy {recording.plan.policy.name}\n"
        f"verified: every execution ended with the roots and receipts of sequential execution"
    )


def _speedup(found: Explanation) -> str:
    one, many = (statistics.median(each) for each in (found.recording.sequential, found.recording.parallel))
    lines = [
        f"Speed-up it had on {counted(found.workers, 'worker')}: {short(found.had)}   (one by one {_ms(one * 1e9)}, "
        f"in parallel {_ms(many * 1e9)}; "
        f"{short(found.busy)} workers busy on average)",
        f"Best on any number of cores: {short(found.best)}   (all work {_ms(found.work)}, critical path "
        f"{_ms(found.path.nanoseconds)})",
        "",
        table(
            ["cores", *(str(each.cores) for each in found.bounds)],
            [
                ["no schedule is above", *(short(each.at_most) for each in found.bounds)],
                ["one that knew all is not below", *(short(each.at_least) for each in found.bounds)],
            ],
        ),
        "",
        "Assumed: a transaction begins when all whose writes it reads have ended. Writing what another one wrote or "
        "read is no",
        "dependency, as older values are kept. Work and path are executing alone, for each transaction the least of "
        f"{counted(len(found.recording.records), 'record')};",
        "fetching committed values, validating, end_block and commit are not counted.",
    ]
    return "\n".join(lines)


def _time(found: Explanation) -> str:
    counts = found.timeline.counts()
    return (
        f"Where the workers' time went\n{shares_table(found.timeline)}\n"
        f"{counts['executions']:,} executions of {counted(found.transactions, 'transaction')}, {counts['aborts']:,} "
        "aborts, "
        f"{counts['suspensions']:,} suspensions; {found.wasted:.1%} of the time of executions was wasted"
    )


def _keys(found: Explanation, top: int) -> str:
    if not found.keys:
        return "No key caused a conflict."
    rows = []
    for each in found.keys[:top]:
        reach = ["", ""] if each.key == UNKNOWN else [f"{each.readers:,}", f"{each.writers:,}"]
        rows.append(
            [
                found.name(each.key),
                _ms(each.lost),
                f"{each.lost / max(found.lost, 1):.0%}",
                f"{each.aborts:,}",
                f"{each.cuts:,}",
                f"{each.suspensions:,}",
                *reach,
            ]
        )
    more = _more(len(found.keys) - top, "key")
    heads = ["key", "time lost", "share", "aborts", "cut short", "waits", "readers", "writers"]
    return f"Keys that caused conflicts (time lost: executions given up, and waits)\n{table(heads, rows)}{more}"


def _pairs(found: Explanation, top: int) -> str:
    if not found.pairs:
        return ""
    rows = []
    for pair in found.pairs[:top]:
        (key, _), *others = pair.keys.most_common()
        name = found.name(key) + (f" and {len(others)} more" if others else "")
        rows.append(
            [
                f"{found.timeline.name(pair.writer)} ended {found.timeline.name(pair.reader)}",
                f"{pair.aborts:,}",
                _ms(pair.wasted),
                name,
            ]
        )
    more = _more(len(found.pairs) - top, "pair")
    by_writer: Counter[int] = Counter()
    for pair in found.pairs:
        by_writer[pair.writer] += pair.aborts
    (writer, most), *_ = by_writer.most_common(1)
    if most > 1 and len(found.pairs) > 1:
        more += f"\nmost were ended by transaction {found.timeline.name(writer)}: {most:,}"
    return f"Who aborted whom\n{table(['transactions', 'times', 'time lost', 'key'], rows)}{more}"


def _path(found: Explanation, top: int) -> str:
    path = found.path
    if not path.keys:
        return (
            "Critical path: the longest transaction alone; none reads what another one wrote."
            if path.transactions
            else ""
        )
    shown = [str(tx) for tx in path.transactions]
    if len(shown) > 2 * _ENDS:
        shown = [*shown[:_ENDS], "...", *shown[-_ENDS:]]
    rows = [
        [
            found.name(each.key),
            f"{each.steps:,}",
            _ms(each.nanoseconds),
            f"{each.nanoseconds / path.nanoseconds:.0%}",
            "" if each.best_without is None else short(each.best_without),
        ]
        for each in found.path_keys[:top]
    ]
    more = _more(len(found.path_keys) - top, "key")
    return (
        f"Critical path: {counted(len(path.transactions), 'transaction')}, {_ms(path.nanoseconds)}\n  "
        f"{' -> '.join(shown)}\n"
        f"{table(['key', 'steps', 'time', 'share', 'best without it'], rows)}{more}"
    )


def _advice(found: Explanation) -> str:
    return "What follows\n" + "\n".join(f"- {sentence}" for sentence in advice(found))


def _more(number: int, what: str) -> str:
    return f"\nand {counted(number, f'more {what}')}" if number > 0 else ""


def _ms(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:,.3f} ms" if nanoseconds < 1e8 else f"{nanoseconds / 1e6:,.0f} ms"
