"""What every chart has: its frame as inline SVG, axes, and a legend in HTML that flows where there is little room.

Drawn here and not by matplotlib: no extra is needed, colours follow the reader's light or dark, text is text, and the
page stays small and the same to the byte whatever is installed.
"""

from __future__ import annotations

from typing import Sequence

from ioi_stress.report.markup import Child, Markup, tag
from ioi_stress.report.scale import Scale

TICK, LINE = 5, 12  # length of a tick; height of a line of text


def figure(svg: Markup, title: str, note: Child = None, legend: Markup | None = None, class_: str = "chart") -> Markup:
    caption = tag("figcaption", tag("strong", title), " " if note is not None else None, note)
    return tag("figure", caption, tag("div", svg, class_="scroll"), legend, class_=class_)


def svg(width: float, height: float, label: str, *children: Child, **attributes: str) -> Markup:
    """label: what is said where it cannot be seen."""
    return tag("svg", children, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label, **attributes)


def label(x: float, y: float, content: Child, class_: str = "label", anchor: str = "middle") -> Markup:
    return tag(
        "text", content, x=float(x), y=float(y), class_=class_, text_anchor=None if anchor == "start" else anchor
    )


def x_axis(
    scale: Scale, y: float, ticks: Sequence[tuple[float, str]], title: str, top: float | None = None
) -> list[Markup]:
    """ticks: (value, text). top: grid lines up to there."""
    begin, end = sorted((scale.begin, scale.end))
    parts = [tag("line", x1=begin, x2=end, y1=y, y2=y, class_="axis")]
    for value, text in ticks:
        x = scale.at(value)
        if top is not None:
            parts.append(tag("line", x1=x, x2=x, y1=float(top), y2=float(y), class_="grid"))
        parts.append(tag("line", x1=x, x2=x, y1=float(y), y2=float(y + TICK), class_="axis"))
        parts.append(label(x, y + TICK + LINE, text))
    parts.append(label((begin + end) / 2, y + TICK + 2.4 * LINE, title, "title"))
    return parts


def y_axis(scale: Scale, x: float, right: float, ticks: Sequence[tuple[float, str]], title: str) -> list[Markup]:
    """Grid lines to the right, and the title above."""
    parts = []
    for value, text in ticks:
        y = scale.at(value)
        parts.append(tag("line", x1=float(x), x2=float(right), y1=y, y2=y, class_="grid"))
        parts.append(label(x - TICK - 1, y + LINE / 3, text, anchor="end"))
    parts.append(label(4, LINE, title, "title", "start"))
    return parts


def legend(entries: Sequence[tuple[str, Markup]], title: str = "") -> Markup:
    """entries: (text, drawing in a box of 24 x 12)."""
    items = [
        tag("li", tag("svg", drawing, viewBox="0 0 24 12", class_="key", aria_hidden="true"), name)
        for name, drawing in entries
    ]
    return tag("div", tag("span", title) if title else None, tag("ul", items), class_="legend")


def patch(class_: str) -> Markup:
    """A filled box for a legend."""
    return tag("rect", x=3, y=1, width=18, height=10, class_=class_)
