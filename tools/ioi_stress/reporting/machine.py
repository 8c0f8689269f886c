"""The machine's facts, as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ioi_stress.reporting.cells import shown

_GIB = 1 << 30
_NAMES = {
    "cpu": "processor",
    "cores_allowed": "cores allowed",
    "cores_available": "cores available",
    "governor": "frequency governor",
    "memory_bytes": "memory",
    "memory_free_bytes": "memory free before",
    "load": "load before",
    "ioi_exec": "ioi-exec",
    "numpy": "NumPy",
    "lmdb": "py-lmdb",
    "sha256": "SHA-256 by",
    "python_loop_ns": "a loop in Python",
    "sha256_ns": "a hash of 64 bytes",
}


def machine_facts_shown(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values. facts: of `machine_facts`, or some of them."""
    return [(_NAMES.get(name, name.replace("_", " ")), _fact(name, value)) for name, value in facts.items()]


def _fact(name: str, value: Any) -> str:
    if value is None:
        return "not known"
    if name.endswith("_bytes") and isinstance(value, (int, float)):
        return f"{value / _GIB:,.1f} GiB"
    if name.endswith("_ns") and isinstance(value, (int, float)):
        return f"{value:,.0f} ns"
    return shown(value)
