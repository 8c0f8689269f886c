"""The specification, imported before anything of it is: it and what it needs raise the limit of recursion of the whole process, in which
what nests deeply then ends the process. The VM's calls have a limit of their own."""

from __future__ import annotations

import sys

_limit = sys.getrecursionlimit()
import ethereum  # noqa: E402, F401
import py_ecc  # noqa: E402, F401

sys.setrecursionlimit(_limit)
