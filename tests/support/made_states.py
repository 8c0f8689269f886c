"""A small state to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ioi_storage import Store

GENESIS = {b"a": b"1", b"b": b"", b"c": b"3"}
PLACEHOLDER = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"


def create(path: Path | None, genesis: dict[bytes, bytes] = GENESIS, **options: Any) -> Store:
    return Store.create(path, meta={"vm": "x", "n": [1, None]}, genesis=genesis.items(), **options)
