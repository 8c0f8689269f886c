"""The part of a block that is drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ioi_exec import InputError
from ioi_exec.block.record import EventKind
from ioi_stress.tracing.timeline import Timeline

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Of time, in nanoseconds."""


@dataclass(frozen=True)
class Moment:
    """A time since the block began, or when a transaction is executed: the first time, or for the end of a window the
    last."""

    nanoseconds: int = 0
    tx: int | None = None


def moment(text: str) -> Moment:
    """"1.5ms", "300us", "2" (milliseconds), "tx120". Raises InputError."""
    if found := re.fullmatch(r"tx\s*(\d+)", text, re.ASCII):
        return Moment(tx=int(found[1]))
    if found := re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(ns|us|ms|s|)", text, re.ASCII):
        return Moment(round(float(found[1]) * UNITS[found[2] or "ms"]))
    raise InputError(
        f"{text!r} is no time: give milliseconds, a number with a unit (300us), or a transaction (tx120)"
    )


def window(timeline: Timeline, begin: Moment | None, end: Moment | None) -> tuple[int, int]:
    """First and last nanosecond; without a begin, from when the first worker was awake on. Raises InputError for a
    window outside the block, or with nothing in it."""
    whole = max(timeline.duration, 1)
    first = (
        min(int(timeline.first.min()), whole - 1)
        if begin is None
        else _nanoseconds(timeline, begin, "--from", last=False)
    )
    last = whole if end is None else min(_nanoseconds(timeline, end, "--to", last=True), whole)
    if first >= whole:
        raise InputError(f"--from is after the end of the block, which took {whole / 1e6:.3f} ms")
    if first >= last:
        raise InputError(
            f"from {first / 1e6:.6f} ms to {last / 1e6:.6f} ms there is nothing: give --from a time before that of --to"
        )
    return first, last


def _nanoseconds(timeline: Timeline, at: Moment, option: str, *, last: bool) -> int:
    if at.tx is None:
        return at.nanoseconds
    if at.tx >= timeline.record.transactions:
        raise InputError(
            f"{option}: there is no transaction {at.tx}: the block has {timeline.record.transactions}, from 0 on"
        )
    spans = timeline.spans[(timeline.spans["kind"] == EventKind.EXECUTE) & (timeline.spans["tx"] == at.tx)]
    if not len(spans):
        raise InputError(f"{option}: no execution of transaction {at.tx} was recorded")
    return int(spans["end"].max() if last else spans["start"].min())
