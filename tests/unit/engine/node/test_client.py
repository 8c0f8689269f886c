"""The client, on a chain of this process, and on what is no node (tests/cross/test_real_client.py has CometBFT)."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from client_plays import SIGNED_VM, play

from ioi_exec import InputError
from ioi_exec.node.client import Client, NodeError
from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.producer import Pace


def test_on_a_chain_on_ones_desk() -> None:
    found: dict[str, Any] = {}
    exec(SIGNED_VM, found)
    with Dev(DevChain(found["Notes"], workers=0), Pace(), ("127.0.0.1", 0), Guard()) as dev:
        play(dev.url)


@pytest.mark.parametrize("url", ["", "localhost:26657", "ftp://localhost", "http://", "http://localhost:x", "http://localhost?x", "http://localhost:99999", "http://[::1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="give http://HOST:PORT"):
        Client(url)


def test_a_password_is_neither_taken_nor_shown() -> None:
    with pytest.raises(InputError, match="a user or a password") as caught:
        Client("http://name:secret@localhost:26657")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("said", [b"", b"hello", b"[]", b"{}", b'{"result": 5}', b'{"result": {"response": 5}}', b'{"result": {"response": {"value": 5}}}', b"[" * 99_999])
def test_what_is_no_node(said: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            client = Client(f"http://127.0.0.1:{server.server_port}")
            for ask in (lambda: client.chain_id, lambda: client.height, lambda: client.query("x"), lambda: client.simulate(b"")):
                with pytest.raises(NodeError):
                    ask()
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(NodeError, match="cannot be asked"):
        client.height


def test_a_node_behind_a_path_and_an_answer_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"result": {"node_info": {"network": "there"}}}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/rpc"
            assert Client(url).chain_id == "there" and asked == ["/rpc"]
            monkeypatch.setattr("ioi_exec.node.client.ANSWER_BYTES", 10)
            with pytest.raises(NodeError, match="more than 10 bytes"):
                Client(url).chain_id
        finally:
            server.shutdown()
            thread.join()
