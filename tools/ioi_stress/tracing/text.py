"""A timeline as text, as wide as the terminal: a lane per worker, aborts counted under it, the watermark above, the
time below."""

from __future__ import annotations

import numpy as np

from ioi_exec.block.record import EventKind
from ioi_stress.notation.text import round_step
from ioi_stress.tracing.looks import LOOKS
from ioi_stress.tracing.segments import Segments
from ioi_stress.tracing.timeline import CLASSES, Timeline
from ioi_stress.tracing.watermark import watermark
from ioi_stress.tracing.window import UNITS

_LABEL = 10


def drawn(timeline: Timeline, begin: int, end: int, width: int, *, ascii_only: bool = False) -> str:
    """Lines of at most `width` characters (no less than 40). Each column shows what took most of its time."""
    columns = max(width, 40) - _LABEL
    glyphs = {name: look.ascii if ascii_only else look.glyph for name, look in LOOKS.items()}
    workers = timeline.record.workers
    shares = Segments.of(timeline).shares(workers, begin, end, columns)
    most = shares.argmax(axis=1)
    lines = [_watermark(timeline, begin, end, columns)]
    for worker in range(workers):
        lane = [glyphs[CLASSES[what]] for what in most[worker].tolist()]
        _name_executions(timeline, worker, begin, end, lane)
        lines.append(f"{f'worker {worker}':<{_LABEL}}{''.join(lane)}".rstrip())
        aborts = timeline.aborts["start"][timeline.aborts["worker"] == worker].astype(np.int64)
        counts, _ = np.histogram(aborts[(aborts >= begin) & (aborts <= end)], columns, (begin, end))
        if counts.any():
            marks = "".join(" " if count == 0 else str(count) if count < 10 else "*" for count in counts.tolist())
            lines.append(f"{'  aborts':<{_LABEL}}{marks}".rstrip())
    lines += _axis(begin, end, columns)
    lines.append(_legend(glyphs, most, max(width, 40)))
    return "\n".join(lines)


def _watermark(timeline: Timeline, begin: int, end: int, columns: int) -> str:
    """How many transactions were final, at the columns where the numbers begin."""
    times, values = watermark(timeline)
    step = max(len(str(timeline.record.transactions)) + 3, 12)
    line = ""
    for column in range(0, columns - step // 2, step):
        at = begin + (end - begin) * column / columns
        line = line.ljust(column) + str(values[np.searchsorted(times, at, side="right") - 1])
    return f"{'final':<{_LABEL}}{line[:columns]}"


def _name_executions(timeline: Timeline, worker: int, begin: int, end: int, lane: list[str]) -> None:
    """Write a transaction's number into its execution where there is room for it."""
    spans = timeline.spans
    scale = len(lane) / (end - begin)
    shown = (
        (spans["worker"] == worker)
        & (spans["kind"] == EventKind.EXECUTE)
        & (spans["end"] > begin)
        & (spans["start"] < end)
    )
    shown &= (spans["end"] - spans["start"]) * scale >= 3
    for span in spans[shown]:
        name = str(span["tx"])
        first = int(np.ceil((max(int(span["start"]), begin) - begin) * scale))
        last = int((min(int(span["end"]), end) - begin) * scale)
        if last - first >= len(name) + 2 and len(set(lane[first:last])) == 1:
            lane[first + 1 : first + 1 + len(name)] = name


def _axis(begin: int, end: int, columns: int) -> list[str]:
    """A tick at every round time."""
    unit, name = time_unit(end)
    step = round_step((end - begin) / unit * 10 / columns)
    digits = max(0, -int(np.floor(np.log10(step))))
    ruler, numbers = ["-"] * columns, ""
    for tick in range(int(np.ceil(begin / unit / step)), int(end / unit / step) + 1):
        column = int((tick * step * unit - begin) * columns / (end - begin))
        text = f"{tick * step:.{digits}f}"
        if 0 <= column <= columns - len(text):
            ruler[column] = "+"
            numbers = numbers.ljust(column) + text
    return [f"{'':<{_LABEL}}{''.join(ruler)}", f"{name:<{_LABEL}}{numbers}".rstrip()]


def time_unit(nanoseconds: int) -> tuple[int, str]:
    """What to divide by, and the unit's name, for times up to this."""
    return next(((factor, name) for name, factor in UNITS.items() if nanoseconds >= 2 * factor), (1, "ns"))


def _legend(glyphs: dict[str, str], most: object, width: int) -> str:
    used = {CLASSES[what] for what in np.unique(np.asarray(most)).tolist()}
    blank = [name for name in CLASSES if name in used and glyphs[name] == " "]
    parts = [f"{glyphs[name]} {name}" for name in CLASSES if name in used and name not in blank]
    parts += [f"(blank) {' or '.join(blank)}"] if blank else []
    lines, line = [], " " * _LABEL
    for part in parts:
        if len(line) + len(part) > width and line.strip():
            lines.append(line.rstrip())
            line = " " * _LABEL
        line += part + "   "
    return "\n".join([*lines, line.rstrip()])
