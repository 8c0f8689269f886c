"""/metrics, /healthz and /readyz of a chain on one's desk."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from cometbft import until

from ioi_exec import LimitExceeded

Serve = Callable[..., Any]


def get(ask: Any, path: str) -> tuple[int, str, str]:
    status, body, headers = ask.raw("GET", path)
    return status, body.decode(), headers["Content-Type"]


def test_health_and_metrics(serve: Serve) -> None:
    chain, ask = serve()
    assert get(ask, "/healthz")[:2] == (200, "alive\n") and get(ask, "/readyz")[:2] == (200, "ready\n")
    ask.post("/v1/txs", {"tx": b"b=1".hex(), "wait": "commit"})
    status, text, kind = get(ask, "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=")
    assert "ioi_height 1.0" in text and 'ioi_transactions_total{result="done"} 1.0' in text


def test_it_is_not_ready_where_no_block_can_be_made(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, ask = serve()

    def fails(**options: Any) -> Any:
        raise LimitExceeded("no block today")

    monkeypatch.setattr(chain.sequencer, "mine", fails)
    ask.post("/v1/txs", {"tx": b"b=1".hex()})
    until(lambda: get(ask, "/readyz")[0] == 503)
    assert get(ask, "/readyz")[1] == "no block today\n" and get(ask, "/healthz")[0] == 200
