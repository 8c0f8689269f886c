"""What a block came to on two nodes, and where that differs first."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator

import pytest
from abci_client import CHAIN
from node_chains import Make

from ioi_exec import InputError, VersionMissing
from ioi_exec.node.client import NodeError
from ioi_exec.node.comparing import Difference, Outcome, first_difference, of_home, of_node
from ioi_exec.node.messages import Attribute, EventMessage, TxResult

EVENT = EventMessage("word", (Attribute("key", "a", True),))


def a_home(make: Make, tmp_path: Path, **options: Any) -> Any:
    """Of a chain of one block with a transaction that is done, and one that fails."""
    chain = make(tmp_path / "state", **options).begin()
    chain.decide(b"a=1", b"fail")
    chain.machine.close()
    return SimpleNamespace(state=tmp_path / "state", consensus=tmp_path / "consensus.db")


class Peer:
    """A node's RPC: what it answers to each method, as JSON-RPC or as it stands."""

    def __init__(self, outcome: Outcome) -> None:
        results = [
            {
                "code": each.code, "data": base64.b64encode(each.data).decode() or None, "log": each.log,
                "gas_wanted": str(each.gas_wanted), "gas_used": str(each.gas_used), "codespace": each.codespace,
                "events": [{"type": e.type, "attributes": [{"key": a.key, "value": a.value, "index": True} for a in e.attributes]} for e in each.events],
            }
            for each in outcome.results or ()
        ]
        self.answers: dict[str, Any] = {
            "status": {"node_info": {"network": outcome.chain_id}},
            "block_results": {
                "height": str(outcome.height), "txs_results": results or None, "app_hash": base64.b64encode(outcome.app_hash).decode(),
            },
        }
        self.raw: bytes | None = None


@contextmanager
def listening(peer: Peer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = peer.answers.get(asked["method"])
            body = {"result": found} if found is not None else {"error": {"code": -32603, "message": "no such height"}}
            said = peer.raw if peer.raw is not None else json.dumps({"jsonrpc": "2.0", "id": 1, **body}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_home_and_a_node_that_agree(make: Make, tmp_path: Path) -> None:
    here = of_home(a_home(make, tmp_path, receipts=True), 1)
    assert here.results is not None and [each.code for each in here.results][0] == 0 and here.results[1].code != 0 and len(here.app_hash) == 32
    with listening(Peer(here)) as url:
        there = of_node(url, 1)
        assert (there.receipts_root, there.app_hash, there.chain_id) == (here.receipts_root, here.app_hash, CHAIN)
        assert first_difference(here, there) is None


def test_where_no_receipts_are_kept_their_root_tells(make: Make, tmp_path: Path) -> None:
    here = of_home(a_home(make, tmp_path), 1)
    assert here.results is None
    other = replace(here, results=(TxResult(),), receipts_root=b"r" * 32)
    assert first_difference(here, here) is None
    found = first_difference(here, other)
    assert found is not None and found[:2] == (None, "receipts_root")
    with pytest.raises(VersionMissing):
        of_home(SimpleNamespace(state=tmp_path / "state", consensus=tmp_path / "consensus.db"), 2)  # type: ignore[arg-type]
    with pytest.raises(VersionMissing, match="genesis"):
        of_home(SimpleNamespace(state=tmp_path / "state", consensus=tmp_path / "consensus.db"), 0)  # type: ignore[arg-type]


ONE = TxResult(0, b"out", "", "", 10, 5, (EVENT,))


@pytest.mark.parametrize(
    "other, found",
    [
        (replace(ONE, code=7), ("code", "0", "7")),
        (replace(ONE, data=b""), ("data", b"out".hex(), "")),
        (replace(ONE, gas_wanted=11), ("gas_wanted", "10", "11")),
        (replace(ONE, gas_used=4), ("gas_used", "5", "4")),
        (replace(ONE, events=()), ("events", '[["word", [["key", "a"]]]]', "[]")),
        (replace(ONE, log="why"), ("log", "", "why")),
        (replace(ONE, events=(EventMessage("word", (Attribute("key", "a", False),)),)), None),  # whether it is indexed is a node's own
    ],
)
def test_each_field(other: TxResult, found: Any) -> None:
    here = Outcome(CHAIN, 5, (TxResult(), ONE), b"r" * 32, b"h" * 32)
    said = first_difference(here, replace(here, results=(TxResult(), other)))
    assert said == (None if found is None else Difference(1, *found))


def test_what_is_of_the_whole_block() -> None:
    here = Outcome(CHAIN, 5, (ONE,), b"r" * 32, b"h" * 32)
    assert first_difference(here, replace(here, results=(ONE, ONE))) == Difference(None, "transactions", "1", "2")
    assert first_difference(here, replace(here, app_hash=b"i" * 32)) == Difference(None, "app_hash", (b"h" * 32).hex(), (b"i" * 32).hex())
    assert first_difference(here, replace(here, app_hash=b"")) is None  # not said
    with pytest.raises(InputError, match="'another'"):
        first_difference(here, replace(here, chain_id="another"))


def test_of_an_exception_the_type_counts() -> None:
    here = Outcome(CHAIN, 5, (TxResult(2, log="KeyError: {1, 2} (vm.py:3)"),), b"r" * 32, b"h" * 32)
    assert first_difference(here, replace(here, results=(TxResult(2, log="KeyError: {2, 1} (vm.py:3)"),))) is None
    assert first_difference(here, replace(here, results=(TxResult(2, log="ValueError: 1"),))) is not None


def test_a_peer_that_answers_something_else() -> None:
    good = Outcome(CHAIN, 5, (ONE,), b"r" * 32, b"h" * 32)
    peer = Peer(good)
    with listening(peer) as url:
        for changed in (
            {"height": "6"}, {"height": "x"}, {"txs_results": 7}, {"txs_results": [7]}, {"txs_results": [{"code": -1}]},
            {"txs_results": [{"data": "%"}]}, {"txs_results": [{"events": [{}]}]}, {"app_hash": "?"}, {"txs_results": [{"gas_used": "9" * 5000}]},
        ):
            peer.answers["block_results"] = {**Peer(good).answers["block_results"], **changed}
            with pytest.raises(NodeError, match="block_results of height 5"):
                of_node(url, 5)
        del peer.answers["block_results"]
        with pytest.raises(NodeError, match="no such height"):
            of_node(url, 5)
        for raw in (b"", b"[" * 100_000, b"7", b'{"result": '):
            peer.raw = raw
            with pytest.raises(NodeError, match="127.0.0.1"):
                of_node(url, 5)
    with pytest.raises(NodeError, match="cannot be asked"):
        of_node(url, 5)
    for address in ("ftp://127.0.0.1", "http://", "http://h:x", "nothing", "http://[::1"):
        with pytest.raises(InputError):
            of_node(address, 5)
