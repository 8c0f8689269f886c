"""A verdict that would be about nothing is none."""

from __future__ import annotations

from typing import ClassVar

from ioi_exec import Error


class NothingJudged(Error):
    """A verdict was asked for, and what was seen gives none: neither that something holds nor that it does not."""

    exit_status: ClassVar[int] = 7
