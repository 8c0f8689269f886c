"""Which process this is, without asking the system: that takes half as long as reading a value."""

from __future__ import annotations

import os

pid = os.getpid()


def _renew() -> None:
    global pid
    pid = os.getpid()


os.register_at_fork(after_in_child=_renew)  # whatever forks and goes on in Python runs these
