"""HTML and SVG as text in which everything is escaped that does not say it is markup."""

from __future__ import annotations

import html
import json
import re
from typing import Any, Iterable, TypeAlias

# What no HTML may hold (control characters, halves of surrogates), and what would turn around the text beside it.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_VOID = frozenset(("meta", "input", "br", "col"))
_EMPTY_SVG = frozenset(("path", "rect", "line", "circle", "polyline"))


class Markup(str):
    """Markup, to be put into other markup as it is. Made by `tag`, `text` and `joined` alone, and of files of this
    package."""


Child: TypeAlias = "object"


def text(value: object) -> Markup:
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def joined(children: Iterable[Child]) -> Markup:
    """Children one after another: Markup as it is, lists and tuples by their items, None not at all, all else
    escaped."""
    parts = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(joined(child))
        elif child is not None:
            parts.append(text(child))
    return Markup("".join(parts))


def tag(name: str, /, *children: Child, **attributes: Any) -> Markup:
    """An element. Attributes: class_ for class, other underscores are hyphens; None: without it; True: its name alone;
    numbers have at most two digits after the point."""
    parts = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False:
            parts.append(f'{key}="{text(number(value) if isinstance(value, float) else value)}"')
    opened = " ".join(parts)
    if name in _VOID:
        return Markup(f"<{opened}>")
    if name in _EMPTY_SVG and not children:
        return Markup(f"<{opened}/>")
    return Markup(f"<{opened}>{joined(children)}</{name}>")


def number(value: float) -> str:
    """A coordinate."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def json_script(identity: str, value: Any) -> Markup:
    """Data for a script: an element that is never executed, and that nothing in the data can end."""
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{text(identity)}">{plain}</script>')
