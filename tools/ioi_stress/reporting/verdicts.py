"""What to know before any figure: whether what was measured is right, and whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from ioi_stress.notation.text import counted
from ioi_stress.results.result import Result
from ioi_stress.running.verify import verdict
from ioi_stress.sweeps import Sweep

_LINES = 20


@dataclass(frozen=True)
class Verdict:
    """kind: good, warn or bad. word, text: what it says. lines: what differed. shrunk, replay: to what that was shrunk, and
    the command that shows it again."""

    kind: str
    word: str
    text: str
    lines: Sequence[str] = ()
    shrunk: str = ""
    replay: str = ""


def of_run(result: Result) -> list[Verdict]:
    found = result.verification
    said = sentence(verdict(found).partition(": ")[2])
    boxes = []
    if result.error:
        boxes.append(Verdict("bad", "Ended with an error.", result.error))
    if result.interrupted:
        boxes.append(Verdict("warn", "Interrupted.", "These are the figures of what was executed until then."))
    if found.mismatches:
        boxes.append(Verdict("bad", "Different.", said, _listed(found.mismatches), found.shrunk, found.replay))
    elif not found.wanted:
        text = "Nothing was compared with sequential execution; --verify does that."
        boxes.append(Verdict("warn", "Not verified.", text))
    elif not found.ok:
        boxes.append(Verdict("warn", "Not all verified.", said))
    elif not found.compared:
        boxes.append(Verdict("warn", "Nothing to verify.", said))
    else:
        boxes.append(Verdict("good", "Verified.", said))
    return boxes


def of_sweep(sweep: Sweep) -> list[Verdict]:
    boxes = []
    if sweep.diverged:
        rows = counted(len(sweep.diverged), "row")
        text = f"{rows} ended otherwise than sequential execution, or than the same workload elsewhere."
        boxes.append(Verdict("bad", "Different.", text, _listed(sweep.diverged)))
    if sweep.interrupted:
        wanted = "" if sweep.wanted is None else f" of {sweep.wanted:,}"
        boxes.append(Verdict("warn", "Interrupted.", f"{len(sweep):,}{wanted} rows were measured."))
    verified = sum(row["verified"] is True for row in sweep.rows)
    if sweep.diverged:
        return boxes
    if sweep.rows and verified == len(sweep):
        text = (
            f"State roots and receipts of all blocks of {counted(verified, 'row')} equal those of sequential execution."
        )
        boxes.append(Verdict("good", "Verified.", text))
    else:
        text = f"{verified:,} of {counted(len(sweep), 'row')} were compared with sequential execution."
        boxes.append(Verdict("warn", "Not all verified." if verified else "Not verified.", text))
    return boxes


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _listed(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _LINES:,} more"] if len(lines) > _LINES else []
    return [*lines[:_LINES], *more]
