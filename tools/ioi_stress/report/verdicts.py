"""What to know before any figure: whether what was measured is right, and whole."""

from __future__ import annotations

from ioi_stress.report.markup import Child, Markup, tag
from ioi_stress.result import Result
from ioi_stress.sweeps import Sweep
from ioi_stress.text import counted
from ioi_stress.verify import verdict

_LINES = 20


def of_run(result: Result) -> list[Markup]:
    found = result.verification
    boxes = []
    if result.error:
        boxes.append(_box("bad", "Ended with an error.", result.error))
    if result.interrupted:
        boxes.append(_box("warn", "Interrupted.", "These are the figures of what was executed until then."))
    if found.mismatches:
        more = [_listed(found.mismatches), tag("p", found.shrunk) if found.shrunk else None]
        replay = tag("p", "Replay it: ", tag("code", found.replay)) if found.replay else None
        boxes.append(_box("bad", "Different.", sentence(verdict(found).partition(": ")[2]), *more, replay))
    elif not found.wanted:
        boxes.append(
            _box("warn", "Not verified.", "Nothing was compared with sequential execution; --verify does that.")
        )
    elif not found.ok:
        boxes.append(_box("warn", "Not all verified.", sentence(verdict(found).partition(": ")[2])))
    elif not found.compared:
        boxes.append(_box("warn", "Nothing to verify.", sentence(verdict(found).partition(": ")[2])))
    else:
        boxes.append(_box("good", "Verified.", sentence(verdict(found).partition(": ")[2])))
    return boxes


def of_sweep(sweep: Sweep) -> list[Markup]:
    boxes = []
    if sweep.diverged:
        rows = counted(len(sweep.diverged), "row")
        text = f"{rows} ended otherwise than sequential execution, or than the same workload elsewhere."
        boxes.append(_box("bad", "Different.", text, _listed(sweep.diverged)))
    if sweep.interrupted:
        wanted = "" if sweep.wanted is None else f" of {sweep.wanted:,}"
        boxes.append(_box("warn", "Interrupted.", f"{len(sweep):,}{wanted} rows were measured."))
    verified = sum(row["verified"] is True for row in sweep.rows)
    if sweep.diverged:
        return boxes
    if sweep.rows and verified == len(sweep):
        text = (
            f"State roots and receipts of all blocks of {counted(verified, 'row')} equal those of sequential execution."
        )
        boxes.append(_box("good", "Verified.", text))
    else:
        text = f"{verified:,} of {counted(len(sweep), 'row')} were compared with sequential execution."
        boxes.append(_box("warn", "Not all verified." if verified else "Not verified.", text))
    return boxes


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _box(kind: str, word: str, text: str, *more: Child) -> Markup:
    return tag("div", tag("strong", word), tag("p", text), *more, class_=f"verdict {kind}", role="status")


def _listed(lines: list[str]) -> Markup:
    items = [tag("li", line) for line in lines[:_LINES]]
    return tag("ul", items, tag("li", f"and {len(lines) - _LINES:,} more") if len(lines) > _LINES else None)
