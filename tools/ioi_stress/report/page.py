"""A page as one file, which asks for nothing else: style and script stand in it, and its policy forbids every
request."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Sequence

from ioi_exec import __version__
from ioi_stress.report.markup import Child, Markup, joined, tag


@lru_cache(None)
def _file(name: str) -> Markup:
    return Markup(files(__package__).joinpath(name).read_text("ascii"))


def page(title: str, body: Sequence[Child], scripts: Sequence[str] = (), data: Sequence[Markup] = ()) -> str:
    """The whole file, all of it ASCII: the same bytes whatever encoding it is written in.

    scripts: names of files of this package. data: what they read, from `json_script`. Only they are executed, whatever
    else comes into the page: the policy names them by their hashes.
    """
    style, sources = joined([_file("drawings.css"), _file("page.css")]), [_file(name) for name in scripts]
    policy = f"default-src 'none'; style-src {_hashed(style)}; script-src {' '.join(map(_hashed, sources)) or _NONE}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=f"{policy}; base-uri 'none'; form-action 'none'"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"ioi-stress {__version__}"),
        tag("title", title),
        tag("style", style),
    )
    footer = tag("footer", f"Made by ioi-stress {__version__}. One file, which asks the network for nothing.")
    made = tag("html", head, tag("body", body, footer, data, [tag("script", source) for source in sources]), lang="en")
    return f"<!DOCTYPE html>\n{made}\n".encode("ascii", "xmlcharrefreplace").decode()


_NONE = "'none'"


def _hashed(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def section(identity: str, title: str, *children: Child) -> Markup:
    return tag("section", tag("h2", title), children, id=identity)


def folded(summary: str, *children: Child) -> Markup:
    """What is shown when its line is clicked."""
    return tag("details", tag("summary", summary), children)


def definitions(pairs: Sequence[tuple[str, Child]]) -> Markup:
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs])


def table(
    heads: Sequence[Child], rows: Sequence[Sequence[Child]], left: Sequence[int] = (0,), class_: str | None = None
) -> Markup:
    """left: the columns that are aligned to the left, the others are numbers. The first is what its row is about."""

    def cell(name: str, index: int, child: Child, **attributes: str) -> Markup:
        return tag(name, child, class_=None if index in left else "n", **attributes)

    head = tag("tr", [cell("th", index, child, scope="col") for index, child in enumerate(heads)])
    lines = [
        joined(
            [
                Markup("<tr>"),
                cell("th", 0, row[0], scope="row"),
                [cell("td", index, child) for index, child in enumerate(row[1:], 1)],
                Markup("</tr>\n"),
            ]
        )
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", lines), class_=class_), class_="scroll")
