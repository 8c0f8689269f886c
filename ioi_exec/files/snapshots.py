"""A snapshot as files in a directory: what it says of itself, and its chunks."""

from __future__ import annotations

MANIFEST = "manifest.json"


def chunk_name(number: int) -> str:
    return f"chunk-{number:06}"
