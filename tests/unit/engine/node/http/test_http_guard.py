"""Who may ask, and how much."""

from __future__ import annotations

import socket
from typing import Any, Callable

import pytest
from cometbft import until

from ioi_exec import InputError
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.http.server import CONNECTIONS_MOST, HttpServer

Serve = Callable[..., Any]


def test_names_that_a_page_elsewhere_could_have_made_mean_this_machine(serve: Serve) -> None:
    _, ask = serve(0, Guard(hosts=("desk.example",)))
    for host in ("localhost", "localhost:99", "127.0.0.1", "[::1]:5", "10.1.2.3", "desk.example:80"):
        assert ask.raw("GET", "/health", Host=host)[0] == 200, host
    for host in ("evil.example", "", "localhost.evil.example", "a@localhost", "127.0.0.1.evil", "localhost:x", "localhost/", "[::1", "127.1"):
        assert ask.raw("GET", "/health", Host=host)[0] in (400, 403), host


def test_pages_of_other_sites(serve: Serve) -> None:
    _, ask = serve(0, Guard(origins=("http://friend.example:8080",)))
    here = {"Host": "localhost:1"}
    assert ask.raw("GET", "/health", **here, Origin="http://localhost:1")[0] == 200
    for origin in ("http://localhost:2", "https://evil.example", "null", "http://friend.example", ""):
        status, _, headers = ask.raw("POST", "/v1/mine", b"{}", **here, Origin=origin)
        assert status == 403 and "Access-Control-Allow-Origin" not in headers, origin
    status, _, headers = ask.raw("GET", "/health", **here, Origin="http://friend.example:8080")
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "http://friend.example:8080"
    status, _, headers = ask.raw("OPTIONS", "/v1/mine", **here, Origin="http://friend.example:8080", Access_Control_Request_Method="POST")
    assert status == 204 and "POST" in headers["Access-Control-Allow-Methods"]
    assert ask.raw("OPTIONS", "/v1/mine", **here, Origin="https://evil.example")[0] == 403
    assert ask.raw("GET", "/broadcast_tx_sync?tx=0x00", **here, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask.raw("GET", "/broadcast_tx_sync?tx=0x00", **here, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 403
    assert ask.raw("GET", "/health", **here, Sec_Fetch_Site="same-origin")[0] == 200


def test_names_and_origins_however_they_are_written(serve: Serve) -> None:
    _, ask = serve(0, Guard(hosts=("Desk.Example:80",), origins=("HTTP://Friend.example:8080/",)))
    assert ask.raw("GET", "/health", Host="desk.example:26657")[0] == 200
    status, _, headers = ask.raw("GET", "/health", Host="localhost:1", Origin="http://friend.example:8080")
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "http://friend.example:8080"


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="something listens there already"):
            HttpServer([], other.getsockname(), Guard())


def test_connections_are_bounded(serve: Serve) -> None:
    _, ask = serve()
    place = ask._place.rsplit(":", 1)
    opened = []
    try:
        for _ in range(CONNECTIONS_MOST):
            opened.append(socket.create_connection((place[0], int(place[1])), timeout=60))
            opened[-1].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert opened[-1].recv(1 << 16).startswith(b"HTTP/1.1 200")
        with socket.create_connection((place[0], int(place[1])), timeout=60) as one_more:
            assert one_more.recv(1) == b""
    finally:
        for each in opened:
            each.close()

    def goes_on() -> bool:
        try:
            return bool(ask.raw("GET", "/health")[0] == 200)
        except OSError:  # they are not all gone yet
            return False

    until(goes_on)


HOSTILE = [
    b"<script>alert(1)</script>\r\n\r\n", b"\0" * 100, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /v1/blocks/%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /block?height=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /abci_query?path=%22\\ud800%22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("sent", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_request(serve: Serve, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A 4xx or nothing, no traceback, and it goes on."""
    _, ask = serve()
    host, port = ask._place.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            answer = peer.recv(1 << 16)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.split(b" ")[1][:1] == b"4" or b"-326" in answer, answer
    assert b"<script" not in answer and ask.raw("GET", "/health")[0] == 200
    assert all(record.exc_info is None and len(record.getMessage()) < 1000 for record in caplog.records), caplog.text
