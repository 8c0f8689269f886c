"""/v1, as a program asks it."""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import sha256
from http.client import HTTPException
from typing import Any, Callable

import pytest
from cometbft import until
from rpc import Asker

from ioi_exec.errors import InputError, ResourceError
from ioi_exec.node.app_hash import verify_key
from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.messages import ProofOp, ProofOps
from ioi_exec.node.producer import Pace
from ioi_exec.node.sequencer import Happened

Serve = Callable[..., Any]


def hashed(tx: bytes) -> str:
    return sha256(tx).hexdigest()


def test_from_a_transaction_to_its_receipt(serve: Serve) -> None:
    chain, ask = serve()
    sent = ask.post("/v1/txs", {"tx": b"b=1".hex(), "wait": "commit"})
    assert (sent["hash"], sent["height"], sent["index"], sent["check"]["ok"]) == (hashed(b"b=1"), 1, 0, True)
    receipt = sent["receipt"]
    assert (receipt["output"], receipt["code"], receipt["error"]) == (b"done".hex(), 0, "")
    assert receipt["events"] == [{"name": "word", "attributes": [["key", {"bytes": "62"}], ["size", {"int": "1"}]]}]
    found = ask.get(f"/v1/txs/{hashed(b'b=1')}")
    assert (found["tx"], found["receipt"]) == (b"b=1".hex(), receipt)
    assert ask.get(f"/v1/receipts/{hashed(b'b=1')}")["receipt"] == receipt
    failed = ask.post("/v1/txs", {"tx": b"fail".hex(), "wait": "commit"})["receipt"]
    assert (failed["ok"], failed["code"], failed["error"]) == (False, 9, "as it was told")
    assert ask.post("/v1/txs", {"tx": b"bad".hex()})["check"]["error"] == "a bad word"
    refused = ask.post("/v1/txs", {"tx": b"refused".hex(), "wait": "commit"})
    assert refused["error"] == "not in a block" and "receipt" not in refused
    assert ask.get(f"/v1/txs/{hashed(b'refused')}")["why"] == "not in a block"


def test_blocks(serve: Serve) -> None:
    chain, ask = serve(None)
    assert ask.get("/v1/blocks") == {"blocks": []} and "error" in ask.get("/v1/blocks/latest", 404)
    assert ask.post("/v1/txs", {"tx": b"b=1".hex()})["check"]["ok"]
    waiting = ask.get("/v1/waiting")
    assert waiting == {"txs": [{"hash": hashed(b"b=1"), "tx": b"b=1".hex()}], "count": 1}
    assert ask.get(f"/v1/txs/{hashed(b'b=1')}") == {"hash": hashed(b"b=1"), "status": "waiting"}
    assert ask.post("/v1/mine", {"blocks": 3}) == {"height": 3} and ask.post("/v1/mine", {}) == {"height": 4}
    one = ask.get("/v1/blocks/1")
    assert [tx["tx"] for tx in one["txs"]] == [b"b=1".hex()] and one["hash"] == chain.block(1).hash.hex()
    assert ask.get("/v1/blocks/latest")["height"] == 4
    assert [block["height"] for block in ask.get("/v1/blocks?limit=2")["blocks"]] == [4, 3]
    assert [block["height"] for block in ask.get("/v1/blocks?before=3")["blocks"]] == [2, 1]
    for path in ("/v1/blocks/5", "/v1/blocks/0", f"/v1/txs/{'0' * 64}", f"/v1/receipts/{'0' * 64}"):
        assert ask.get(path, 404)["error"]
    for path in ("/v1/blocks/x", "/v1/blocks/-1", "/v1/blocks?limit=0", "/v1/blocks?limit=101", "/v1/txs/00", "/v1/txs/zz"):
        assert ask.get(path, 400)["error"]


def test_blocks_that_are_not_kept(serve: Serve) -> None:
    """The oldest version has a header too, but says nothing of the one before it."""
    chain, ask = serve(None, keep=3)
    chain.mine(10)
    assert [block["height"] for block in ask.get("/v1/blocks")["blocks"]] == [10, 9]
    assert ask.get("/v1/status")["oldest_height"] == 9 and ask.get("/v1/blocks/9")["hash"] == chain.block(9).hash.hex()
    assert ask.call("status")["sync_info"]["earliest_block_height"] == "9" and ask.get("/v1/blocks/8", 404)["error"]
    with pytest.raises(InputError, match="2 or more"):
        DevChain(workers=0, keep=1)


def test_a_chain_that_cannot_go_on_ends_also_where_it_is_asked_for_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = DevChain(workers=0)

    def full(**options: Any) -> Any:
        raise ResourceError("the disk is full")

    with Dev(chain, Pace(None), ("127.0.0.1", 0), Guard()) as dev:
        monkeypatch.setattr(chain.sequencer, "mine", full)
        assert Asker(dev.url).post("/v1/mine", {}, 500) == {"error": "the disk is full"}
        assert dev._failed is not None
        with pytest.raises(ResourceError):
            dev.run()


def test_its_end_does_not_wait_for_all_blocks_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, ending, making = DevChain(workers=0), threading.Event(), threading.Event()
    stop, heights = chain.sequencer.stop, []

    def stopped() -> None:
        stop()
        ending.set()

    def told(happened: Happened) -> None:
        heights.append(happened.height)
        making.set()
        ending.wait(300)

    monkeypatch.setattr(chain.sequencer, "stop", stopped)
    chain.sequencer.listen(told)
    with Dev(chain, Pace(None), ("127.0.0.1", 0), Guard()) as dev:
        asker = Asker(dev.url)

        def ask() -> None:
            with suppress(OSError, HTTPException):  # whether it is still answered does not matter
                asker.raw("POST", "/v1/mine", b'{"blocks": 1000}')

        asking = threading.Thread(target=ask)
        asking.start()
        assert making.wait(300)
    asking.join()
    assert heights == [1]


def test_a_value_with_its_proof_in_two_steps(serve: Serve) -> None:
    chain, ask = serve()
    ask.post("/v1/txs", {"tx": b"b=1".hex(), "wait": "commit"})
    ask.post("/v1/txs", {"tx": b"b=2".hex(), "wait": "commit"})
    for height, value in ((1, b"1"), (2, b"2")):
        found = ask.get(f"/v1/state/{b'b'.hex()}?height={height}&prove=1")
        ops = [ProofOp(op["type"], bytes.fromhex(op["key"]), bytes.fromhex(op["data"])) for op in found["proof"]["ops"]]
        assert (found["value"], found["height"]) == (value.hex(), height)
        verify_key(bytes.fromhex(found["app_hash"]), found["tree"], b"b", value, ProofOps(tuple(ops)))
        assert found["app_hash"] == ask.get(f"/v1/blocks/{height}")["app_hash"]
    assert ask.get("/v1/state/ff")["value"] is None and ask.get("/v1/state/62")["value"] == b"2".hex()
    assert ask.get("/v1/state/62?height=9", 404)["error"] and ask.get("/v1/state/6?prove=1", 400)["error"]


def test_simulating_and_going_back(serve: Serve) -> None:
    chain, ask = serve()
    simulated = ask.post("/v1/simulate", {"txs": [b"b=1".hex(), b"fail".hex()]})
    assert [receipt["code"] for receipt in simulated["receipts"]] == [0, 9] and simulated["height"] == 1
    assert ask.get("/v1/status")["height"] == 0
    named = ask.post("/v1/snapshot", {})["snapshot"]
    ask.post("/v1/txs", {"tx": b"b=1".hex(), "wait": "commit"})
    assert ask.post("/v1/revert", {"snapshot": named}) == {"height": 0}
    assert ask.get("/v1/state/62")["value"] is None
    assert ask.post("/v1/revert", {"snapshot": "1-ff"}, 400)["error"]


def test_blocks_come_by_themselves(serve: Serve) -> None:
    chain, ask = serve(20)
    until(lambda: ask.get("/v1/status")["height"] >= 3)
    assert ask.get("/v1/status")["mode"] == "every 20 ms"
    assert ask.post("/v1/txs", {"tx": b"b=1".hex(), "wait": "commit"})["receipt"]["ok"]


def test_what_cannot_be_read(serve: Serve) -> None:
    _, ask = serve()
    for path, body in (
        ("/v1/txs", {}), ("/v1/txs", {"tx": 5}), ("/v1/txs", {"tx": "0"}), ("/v1/txs", []), ("/v1/txs", {"tx": "", "wait": "ever"}),
        ("/v1/txs", {"tx": "00", "more": 1}), ("/v1/simulate", {"txs": "00"}), ("/v1/simulate", {"txs": [None]}),
        ("/v1/mine", {"blocks": -1}), ("/v1/mine", {"blocks": 10**9}), ("/v1/revert", {"snapshot": 5}), ("/v1/snapshot", {"a": 1}),
    ):
        assert ask.post(path, body, 400)["error"], (path, body)
    status, body, _ = ask.raw("POST", "/v1/txs", b"[" * 100_000)
    assert status == 400 and b"nested too deeply" in body
    assert ask.raw("POST", "/v1/txs", b"{" + b" " * (17 << 20))[0] == 413
    assert ask.raw("PUT", "/v1/txs", b"")[0] == 405 and ask.raw("GET", "/nothing")[0] == 404
    assert ask.get("/v1/accounts")["accounts"] and ask.get("/v1/status")["stopped"] is None


def test_a_block_that_fails_is_told(serve: Serve) -> None:
    _, ask = serve()
    tx = b"power %s 5" % (b"k" * 31).hex().encode()
    sent = ask.post("/v1/txs", {"tx": tx.hex(), "wait": "commit"})
    assert "31 bytes" in sent["error"]
    until(lambda: "31 bytes" in (ask.get("/v1/status")["stopped"] or ""))
    assert ask.post("/v1/txs", {"tx": b"b=1".hex(), "wait": "commit"})["receipt"]["ok"]
    until(lambda: ask.get("/v1/status")["stopped"] is None)
