"""The stream of what happens."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from rpc import Asker, stream

from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http import events, feed
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.producer import Pace

Serve = Callable[..., Any]


def test_blocks_as_they_come_and_from_where_one_was(serve: Serve) -> None:
    chain, ask = serve()
    chain.send(b"b=1")
    with stream(ask, "/v1/events?from=1") as early, stream(ask) as late:
        assert early.answer.getheader("Content-Type") == "text/event-stream"
        kind, name, block = early.next()
        assert (kind, name, block["height"]) == ("block", chain.snapshot(), 1)
        assert block == ask.get("/v1/blocks/1") and [event["name"] for event in block["events"]] == ["ended"]
        ask.post("/v1/txs", {"tx": b"c=1".hex(), "wait": "commit"})
        assert early.next() == late.next() and chain.height == 2
        ask.post("/v1/revert", {"snapshot": name})
        assert early.next() == late.next() == ("reverted", "", {"height": 1})
        ask.post("/v1/txs", {"tx": b"d=1".hex(), "wait": "commit"})
        again = late.next()
        assert again[2]["height"] == 2 and [tx["tx"] for tx in again[2]["txs"]] == [b"d=1".hex()]
    with stream(ask, Last_Event_ID=name) as resumed:
        assert resumed.next() == again
    with stream(ask, Last_Event_ID=f"2-{'0' * 64}") as undone:
        assert undone.next() == ("reverted", "", {"height": 0})
        assert [undone.next()[1], undone.next()] == [name, again]
    assert ask.get("/v1/events?from=x", 400)["error"]


def test_blocks_that_are_not_kept(serve: Serve) -> None:
    chain, ask = serve(None, keep=3)
    chain.mine(10)
    with stream(ask, "/v1/events?from=1") as early, stream(ask, Last_Event_ID=f"2-{'0' * 64}") as undone:
        assert undone.next() == ("reverted", "", {"height": 8})
        for events in (early, undone):
            assert [events.next()[2]["height"], events.next()[2]["height"]] == [9, 10]
        chain.mine()
        assert early.next()[2]["height"] == undone.next()[2]["height"] == 11


def test_quiet_streams_have_comments_and_there_are_so_many(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(events, "STREAMS_MOST", 1)
    _, ask = serve()
    with stream(ask) as one:
        assert one.next() == ("", "", None)
        assert "no more may be" in ask.get("/v1/events", 503)["error"]


def test_one_that_is_too_slow_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BACKLOG", 0)  # asyncio: no bound
    monkeypatch.setattr(feed.Feed, "put", lambda self, happened: setattr(self, "_over", True) or self._happened.put_nowait(happened))
    chain, ask = serve()
    with stream(ask) as slow:
        chain.send(b"b=1")
        while slow.next()[0] != "end":
            pass


def test_streams_end_with_the_server(serve: Serve) -> None:
    with Dev(DevChain(workers=0), Pace(), ("127.0.0.1", 0), Guard()) as dev, stream(Asker(dev.url)) as open_one:
        dev.close()
        assert open_one.next()[0] == "end"
