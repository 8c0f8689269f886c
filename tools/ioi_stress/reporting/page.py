"""A page as one file, which asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Sequence

from ioi_exec import __version__
from ioi_stress.reporting.rendering import render
from ioi_stress.tracing.looks import LOOKS, SHADES

if TYPE_CHECKING:
    from markupsafe import Markup


def page(template: str, scripts: Sequence[str] = (), **values: object) -> str:
    """The whole file, all of it ASCII: the same bytes whatever encoding it is written in.

    template: what is in it, an extension of page.html. scripts: names of files of this package. Only they are executed,
    whatever else comes into the page: the policy names them by their hashes.
    """
    style, sources = _style(), [_file(name) for name in scripts]
    policy = f"default-src 'none'; style-src {_hashed(style)}; script-src {' '.join(map(_hashed, sources)) or _NONE}"
    made = render(template, policy=policy, style=style, scripts=sources, version=__version__, **values)
    return made.encode("ascii", "xmlcharrefreplace").decode() + "\n"


_NONE = "'none'"


@lru_cache(None)
def _style() -> Markup:
    looks = render("looks.css", looks=list(LOOKS.values()), shades=SHADES)
    return _file("drawings.css") + looks + _file("page.css")


@lru_cache(None)
def _file(name: str) -> Markup:
    from markupsafe import Markup

    return Markup(files(__package__).joinpath(name).read_text("ascii"))


def _hashed(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
