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
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """serve(every_ms, guard, **options of DevChain). Whoever waits for a block may wait long: the machine may be busy."""
    monkeypatch.setattr("ioi_exec.node.http.sending.COMMIT_SECONDS", 300.0)
    opened: list[Dev] = []

    def build(every_ms: int | None = 0, guard: Guard | None = None, **options: Any) -> tuple[DevChain, Asker]:
        chain = DevChain(**{"vm": Words, "genesis": {b"a": b"0"}, "workers": 0, **options})
        opened.append(Dev(chain, Pace(every_ms), ("127.0.0.1", 0), guard or Guard()))
        return chain, Asker(opened[-1].url)

    yield build
    for dev in opened:
        dev.close()
