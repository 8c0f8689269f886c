"""Applications over a state in memory, or in a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
from node_chains import Chain, Make


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """make(path, **options of create): not begun."""
    made: list[Chain] = []

    def build(path: Path | None = None, **options: Any) -> Chain:
        made.append(Chain(path, **options))
        return made[-1]

    yield build
    for chain in made:
        chain.application.close()


@pytest.fixture
def chain(make: Make) -> Chain:
    """One that has begun."""
    return make().begin()
