"""CometBFT's names, by its two ways of being asked (tests/cross/test_cometbft.py holds them against a real node)."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any, Callable

import pytest

from ioi_exec.node.http import rpc

Serve = Callable[..., Any]
TX = b"b=1"
HASH = sha256(TX).hexdigest().upper()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_both_ways_say_the_same(serve: Serve) -> None:
    chain, ask = serve()
    sent = ask.call("broadcast_tx_commit", tx=text(TX))
    assert (sent["hash"], sent["height"], sent["check_tx"]["code"], sent["tx_result"]["data"]) == (HASH, "1", 0, text(b"done"))
    assert sent["tx_result"]["events"][0] == {
        "type": "word", "attributes": [{"key": "key", "value": "62", "index": True}, {"key": "size", "value": "1", "index": True}],
    }
    for uri, method, params in (
        ("block?height=1", "block", {"height": "1"}), ("block", "block", {}), ("block_results?height=1", "block_results", {"height": 1}),
        (f"tx?hash=0x{HASH}", "tx", {"hash": text(bytes.fromhex(HASH))}), ("health", "health", {}), ("abci_info", "abci_info", {}),
        ("header?height=1", "header", {"height": "1"}), ("validators", "validators", {}), ("consensus_params", "consensus_params", {}),
        ('abci_query?path="/store/state/key"&data="b"&prove=false', "abci_query", {"path": "/store/state/key", "data": "62", "prove": False}),
        ("abci_query?path=%22value%22&data=0x62", "abci_query", {"path": "value", "data": "62"}), ("status", "status", {}),
        ("num_unconfirmed_txs", "num_unconfirmed_txs", {}), ("unconfirmed_txs?limit=5", "unconfirmed_txs", {"limit": "5"}),
        (f"block_by_hash?hash=0x{chain.block(1).hash.hex()}", "block_by_hash", {"hash": text(chain.block(1).hash)}),
    ):
        answer = ask.get("/" + uri.replace('"', "%22"))
        assert answer["id"] == -1 and answer["result"] == ask.call(method, **params), uri
    assert ask.get("/block?height=1")["result"]["block"]["data"]["txs"] == [text(TX)]
    assert ask.call("abci_query", path="value", data="62")["response"]["value"] == text(b"1")
    assert ask.call("block_results", height="1")["finalize_block_events"][0]["type"] == "ended"
    assert ask.get(f"/broadcast_tx_sync?tx=0x{b'c=1'.hex()}")["result"]["code"] == 0
    assert ask.get("/broadcast_tx_async?tx=%22d=1%22")["result"]["hash"] == sha256(b"d=1").hexdigest().upper()
    assert ask.call("broadcast_tx_sync", tx=text(b"bad")) == {
        "code": 7, "data": "", "log": "a bad word", "codespace": "ioi-exec", "hash": sha256(b"bad").hexdigest().upper(),
    }
    failed = ask.call("broadcast_tx_commit", tx=text(b"bad"))
    assert (failed["check_tx"]["code"], failed["tx_result"]["code"], failed["height"]) == (7, 0, "0")


def test_a_proof_is_of_the_height_before_the_newest(serve: Serve) -> None:
    _, ask = serve()
    ask.call("broadcast_tx_commit", tx=text(TX))
    ask.call("broadcast_tx_commit", tx=text(b"c=1"))
    answer = ask.call("abci_query", path="/store/state/key", data="62", prove=True)["response"]
    assert answer["height"] == "1" and [op["type"] for op in answer["proofOps"]["ops"]] == ["ics23:jmt", "ics23:simple"]


def test_lists_of_calls_and_what_is_wrong_in_them(serve: Serve) -> None:
    _, ask = serve()
    calls: list[Any] = [
        {"jsonrpc": "2.0", "id": "x", "method": "health"}, {"jsonrpc": "2.0", "method": "health"}, {"jsonrpc": "2.0", "id": 2, "method": "none"},
        {"jsonrpc": "2.0", "id": 3, "method": "block", "params": ["77"]}, {"jsonrpc": "2.0", "id": 4, "method": "tx", "params": {"hash": "?"}}, 5,
        {"jsonrpc": "2.0", "id": 6, "method": "health", "params": 7}, {"jsonrpc": "2.0", "id": 8, "method": "block", "params": [1, 2]},
    ]
    answers = ask.post("/", calls)
    assert [answer["id"] for answer in answers] == ["x", 2, 3, 4, None, 6, 8] and answers[0]["result"] == {}
    assert [answer["error"]["code"] for answer in answers[1:]] == [-32601, -32603, -32602, -32600, -32602, -32602]
    assert ask.raw("POST", "/", json.dumps({"method": "health"}).encode())[0] == 204
    for body, code in ((b"", -32700), (b"{", -32700), (b"\xff", -32700), (b"[]", -32600), (b"[1]" * 2, -32700), (b"[" * 99_999, -32700)):
        status, said, _ = ask.raw("POST", "/", body)
        assert status == 400 and json.loads(said)["error"]["code"] == code, (body[:9], said)
    assert ask.raw("POST", "/", json.dumps([calls[0]] * 101).encode())[0] == 400
    for path in ("/block?height=x", "/block?height=-1", "/tx?hash=zz", "/abci_query?path=%225", "/broadcast_tx_sync?tx=0xz", "/abci_query?prove=2"):
        assert ask.get(path, 400)["error"]["code"] == -32602, path
    assert "not found" in ask.get(f"/tx?hash=0x{'00' * 32}", 500)["error"]["data"]
    assert ask.get("/tx?hash=0x00", 500)["error"]["data"]


def test_answers_to_a_list_have_a_bound(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ask = serve()
    monkeypatch.setattr(rpc, "BATCH_BYTES", 10)
    calls = [{"jsonrpc": "2.0", "id": number, "method": "health"} for number in range(3)]
    answers = ask.post("/", calls)
    assert answers[0] == {"jsonrpc": "2.0", "id": 0, "result": {}}
    assert [answer["id"] for answer in answers] == [0, 1, 2] and all("10 bytes" in answer["error"]["data"] for answer in answers[1:])
