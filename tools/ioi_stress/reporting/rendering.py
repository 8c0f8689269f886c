"""The templates of pages, in which everything is escaped that does not say it is markup."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ioi_exec import InputError

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TICK, LINE = 5, 12  # of drawings: the length of a tick, and the height of a line of text
# What no HTML may hold (control characters, halves of surrogates), and what would turn around the text beside it.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def check_templates() -> None:
    """Raises InputError if no page can be made: before the work, not after it."""
    environment()


@lru_cache(None)
def environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise InputError("pages need Jinja2: pip install 'ioi-exec[stress]'") from None
    made = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    made.globals.update(TICK=TICK, LINE=LINE)
    return made


def render(template: str, **values: object) -> Markup:
    """A part of a page, or a whole one. Numbers have at most two digits after the point; None is nothing. Raises InputError
    without Jinja2."""
    from markupsafe import Markup

    return Markup(environment().get_template(template).render(values))


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _FORBIDDEN.sub("\ufffd", value)
    return value
