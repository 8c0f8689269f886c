from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ioi_storage import State

Commit = Callable[..., int]


@pytest.fixture
def commit() -> Commit:
    """commit(state, {key: value or None}, **fields) -> version."""

    def run(state: State, writes: dict[bytes, bytes | None], **fields: Any) -> int:
        row: dict[str, Any] = dict(receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
        return state.commit(state.stage(sorted(writes.items())), **{**row, **fields})

    return run
