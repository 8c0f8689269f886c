"""A chain behind its server, on a port that is free."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest
from node_vms import Words
from rpc import Asker

from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.producer import Pace

Serve = Callable[..., tuple[DevChain, Asker]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """serve(every_ms, guard, **options of DevChain)."""
    opened: list[Dev] = []

    def build(every_ms: int | None = 0, guard: Guard | None = None, **options: Any) -> tuple[DevChain, Asker]:
        chain = DevChain(**{"vm": Words, "genesis": {b"a": b"0"}, "workers": 0, **options})
        opened.append(Dev(chain, Pace(every_ms), ("127.0.0.1", 0), guard or Guard()))
        return chain, Asker(opened[-1].url)

    yield build
    for dev in opened:
        dev.close()
