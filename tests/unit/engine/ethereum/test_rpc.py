"""JSON-RPC over HTTP: what a node may answer, and what is never shown."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Iterator

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from ethereum_node import Refused, StandIn
from evm_blocks import World
from traced_blocks import Traced

from ioi_exec import InputError
from ioi_exec.ethereum import rpc
from ioi_exec.ethereum.rpc import Node, NodeError
from ioi_exec.vm.ethereum.forks import forks

SECRET = "p4ssw0rd"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    from evm_blocks import judge

    made = World(forks()[-1], 1).made()
    with StandIn(made, Traced(judge(made))) as node:
        yield node


def failing(node: Node) -> str:
    with node, pytest.raises(NodeError) as raised:
        node.call("eth_chainId")
    return str(raised.value)


@pytest.mark.parametrize("url", ["", "localhost:8545", "ws://localhost", "http://", "http://a:b:c", "http://a:99999", "http://a b", "http://a\n", "/x.ipc"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(InputError, match="none of HTTP"):
        Node(url)


def test_secrets_are_sent_and_not_shown(stand_in: StandIn) -> None:
    port = stand_in.url.rpartition(":")[2]
    url = f"http://me:{SECRET}@127.0.0.1:{port}/v3/{SECRET}?key={SECRET}"
    paths: list[str] = []
    stand_in.raw = lambda request, body, path: paths.append(path)  # type: ignore[func-returns-value]
    with Node(url) as node:
        assert node.call("eth_chainId") == "0x1" and SECRET not in node.name
    assert paths == [f"/v3/{SECRET}?key={SECRET}"] and stand_in.headers[0]["Authorization"].startswith("Basic ")
    stand_in.answers["eth_chainId"] = lambda _: (_ for _ in ()).throw(Refused(-32000, f"project {SECRET}\x1b[2J is none of ours"))
    error = failing(Node(url))
    assert SECRET not in error and "\x1b" not in error and "project ..." in error
    stand_in.raw = lambda request, body, path: (401, {}, SECRET.encode())
    assert SECRET not in (error := failing(Node(url))) and "key of the URL" in error
    stand_in.raw = lambda request, body, path: (404, {}, b"<html>")
    assert "is it the JSON-RPC address" in failing(Node(url))
    stand_in.raw = lambda request, body, path: (302, {"Location": "http://else"}, b"")
    assert "not followed" in failing(Node(url))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"7", "no answer of JSON-RPC"),
        (b'{"jsonrpc": "2.0", "id": 99, "result": "0x1"}', "no answer of JSON-RPC"),
        (b'{"jsonrpc": "2.0", "id": 1}', "no answer of JSON-RPC"),
        (b'{"jsonrpc": "2.0", "id": 1, "error": "no"}', "eth_chainId: no"),
        (b'{"jsonrpc": "2.0", "id": 1, "error": {"code": "x", "message": 3}}', "eth_chainId: 3"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_answers_that_are_none(stand_in: StandIn, data: bytes, said: str) -> None:
    stand_in.raw = lambda request, body, path: (200, {}, data)
    assert said in failing(Node(stand_in.url))


def test_a_cut_answer_is_asked_for_again(stand_in: StandIn) -> None:
    whole = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x1"}).encode()
    stand_in.raw = lambda request, body, path: (200, {"Content-Length": "500"}, whole) if request < 2 else None
    with Node(stand_in.url, pause=0) as node:
        assert node.call("eth_chainId") == "0x1" and node.requests == 3
    stand_in.raw = lambda request, body, path: (200, {"Content-Length": "500"}, whole)
    assert "the connection failed" in failing(Node(stand_in.url, attempts=2, pause=0))


def test_an_answer_without_end(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ANSWER_BYTES", 1 << 20)
    stand_in.raw = lambda request, body, path: (200, {}, b" " * (3 << 20))
    assert "more than 1 MiB" in failing(Node(stand_in.url))


def test_a_node_that_says_nothing_or_a_byte_at_a_time() -> None:
    for trickles in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as server:
            done = threading.Event()
            held: list[Any] = []

            def serve() -> None:
                connection, _ = server.accept()
                held.append(connection)
                with connection:
                    while not done.wait(0.02):
                        if trickles:
                            try:
                                connection.sendall(b"H" if len(held) == 1 else b"")
                            except OSError:
                                return

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                error = failing(Node(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.3, attempts=1))
            finally:
                done.set()
                thread.join()
            assert "did not answer within 0.3 seconds" in error


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "Connection refused" in failing(Node(f"http://127.0.0.1:{port}", attempts=2, pause=0))


def test_batches(stand_in: StandIn) -> None:
    calls = [("eth_getBalance", ["0x" + address.hex(), hex(stand_in.number - 1)]) for address in stand_in.made.prestate] * 30
    with Node(stand_in.url) as node:
        found = node.batch(calls)
        assert node.requests == -(-len(calls) // rpc.BATCH)
    assert found == [hex(one.balance) for one in stand_in.made.prestate.values()] * 30
    stand_in.raw = lambda request, body, path: (200, {}, json.dumps(list(reversed(stand_in.answer(json.loads(body))))).encode()) if body[:1] == b"[" else None
    with Node(stand_in.url) as node:
        assert node.batch(calls[:5]) == found[:5]  # whatever order they come in
    stand_in.raw = lambda request, body, path: (200, {}, b"[]") if body[:1] == b"[" else None
    with Node(stand_in.url) as node:
        assert node.batch(calls[:5]) == found[:5]
