"""How what a worker does looks, wherever a timeline is drawn: as text, as a picture, on a page.

Classes are told apart by people who see few colours, and in grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ioi_stress.tracing.timeline import (
    ABORTED,
    AGAIN,
    CUT,
    EXECUTIONS,
    FETCHING,
    FIRST,
    IDLE,
    OTHER,
    PREEMPTED,
    VALIDATING,
    WAITING,
    WAKING,
)


class Shade(NamedTuple):
    """A colour on paper and on a dark screen, and what it is called in CSS."""

    name: str
    light: str
    dark: str


PAPER = Shade("paper", "#ffffff", "#14181c")
INK = Shade("ink", "#1d2329", "#e6e9ec")
MARK = Shade("mark", "#7a1f12", "#ff9a86")
"""Of aborts and of the arrows to what they ended."""
_ON_COLOUR = Shade("on-colour", "#ffffff", "#0d1116")
_ON_LIGHT = Shade("on-light", "#333333", "#1b1500")
_IDLE = Shade("idle", "#eef0f2", "#20262c")


@dataclass(frozen=True)
class Hatch:
    """Lines on the ground: their colour, and how they are drawn, for matplotlib and as an SVG path in a tile of 6 x 6."""

    lines: Shade
    matplotlib: str
    path: str
    width: float


@dataclass(frozen=True)
class Look:
    """style: its class in CSS and SVG. text: of what is written on it. glyph, ascii: what a column of it is as text.
    height: share of the lane's bar; 0: a page and a picture leave it blank, and the ground of the lane is seen."""

    style: str
    ground: Shade
    text: Shade
    glyph: str
    ascii: str
    height: float
    hatch: Hatch | None = None


def _execution(style: str, light: str, dark: str, glyphs: str, text: Shade = _ON_COLOUR, hatch: Hatch | None = None) -> Look:
    return Look(style, Shade(style, light, dark), text, glyphs[0], glyphs[1], 1.0, hatch)


_WAITING = Hatch(Shade("waiting", "#8a8a8a", "#6d767f"), "/////", "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", 1.2)
_PREEMPTED = Hatch(Shade("preempted", "#1d2329", "#e6e9ec"), "|||", "M1 0V6M4 0V6", 1.0)
_CUT = Hatch(PAPER, "xxxx", "M0 0L6 6M6 0L0 6", 0.8)

LOOKS: dict[str, Look] = {
    FIRST: _execution("first", "#4a86b8", "#5b9bd0", "\u2588#"),
    AGAIN: _execution("again", "#f0b03f", "#e0a030", "\u2593+", _ON_LIGHT),
    ABORTED: _execution("aborted", "#cf4a2c", "#e0644a", "\u2592x"),
    CUT: _execution("cut", "#8c2d5a", "#b0508a", "\u2591-", hatch=_CUT),
    VALIDATING: Look("validating", Shade("validating", "#2f9e77", "#3db48a"), _ON_COLOUR, "v", "v", 0.5),
    FETCHING: Look("fetching", Shade("fetching", "#a58fd0", "#8f7cc0"), _ON_COLOUR, "f", "f", 0.5),
    WAITING: Look("waiting", PAPER, INK, "~", "~", 0.8, _WAITING),
    PREEMPTED: Look("preempted", PAPER, INK, "!", "!", 0.3, _PREEMPTED),
    IDLE: Look("idle", _IDLE, INK, " ", " ", 0),
    WAKING: Look("waking", _IDLE, INK, " ", " ", 0),
    OTHER: Look("other", Shade("other", "#c6ccd2", "#4a525a"), INK, ".", ".", 0),
}
"""Of every class of a timeline."""
assert all(LOOKS[name].height == 1 for name in EXECUTIONS)

SHADES = sorted({shade for look in LOOKS.values() for shade in (look.ground, look.text, *([look.hatch.lines] if look.hatch else []))} | {MARK})
SINGLY = 1_200
"""Pieces that are drawn one by one; more are merged."""
ARROWS = 250
"""Aborts that have an arrow each; more have marks alone."""
