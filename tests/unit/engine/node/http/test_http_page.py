"""The files of the page, and what only it asks."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest
from node_vms import Copies
from rpc import Asker

import ioi_exec
from ioi_exec.node.dev import Dev
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.producer import Pace
from ioi_exec.node.recordings import Recordings

PAGE = Path(ioi_exec.__file__).parent / "node" / "page"


@pytest.fixture
def recordings() -> Recordings:
    return Recordings()


@pytest.fixture
def chain(recordings: Recordings) -> DevChain:
    return DevChain(Copies, {b"a": b"1"}, workers=0, recorder=recordings)


@pytest.fixture
def dev(chain: DevChain, recordings: Recordings) -> Iterator[Dev]:
    with Dev(chain, Pace(None), ("127.0.0.1", 0), Guard(), recordings) as made:
        yield made


@pytest.fixture
def asker(dev: Dev) -> Asker:
    return Asker(dev.url)


def test_its_files(asker: Asker) -> None:
    kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    names = sorted(path.name for path in PAGE.iterdir())
    assert {Path(name).suffix for name in names} == set(kinds)
    for name in names:
        status, body, headers = asker.raw("GET", f"/page/{name}")
        assert (status, headers["Content-Type"]) == (200, f"{kinds[Path(name).suffix]}; charset=utf-8") and body == (PAGE / name).read_bytes()
    assert asker.raw("GET", "/")[1] == (PAGE / "index.html").read_bytes()
    for name in ("", "..", "../http/page.py", "..%2fhttp%2fpage.py", "nothing.js", "%00", ".", "index.html%00"):
        assert asker.raw("GET", f"/page/{name}")[0] == 404, name


def test_no_file_names_another_place_or_runs_text() -> None:
    """What the policy forbids is not tried either: HTML of text, scripts or styles within the page, addresses elsewhere."""
    for path in PAGE.iterdir():
        text = path.read_text()
        found = re.findall(r"\w*(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|javascript:)", text)
        assert not found, (path.name, found)
        places = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert all(urlsplit(place).hostname in ("127.0.0.1", None) for place in places), (path.name, places)
    index = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", index)


@pytest.mark.parametrize("host", ["", "evil.example"])
@pytest.mark.parametrize(
    "path", ["/", "/page/page.js", "/page/nothing", "/v1/status", "/v1/blocks/7", "/v1/lanes/latest", "/nothing", "/v1/history/zz", "/%ff", "/status"]
)
def test_every_answer_has_a_policy(asker: Asker, path: str, host: str) -> None:
    status, _, headers = asker.raw("GET", path, **({"Host": host} if host else {}))
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert status == 403 if host else status in (200, 400, 404)


def test_bytes_that_are_no_request(dev: Dev) -> None:
    place = urlsplit(dev.url)
    for sent in (b"<script>alert(1)</script>\r\n\r\n", b"GET /<script> HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n"):
        with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert b"html" not in answer  # the library tells what it did not understand, as plain text


def test_lanes(chain: DevChain, asker: Asker) -> None:
    assert "no block" in asker.get("/v1/lanes/latest", 404)["error"]
    chain.send(b"a b")
    chain.send(b"b a")
    lanes = asker.get("/v1/lanes/latest")
    assert (lanes["height"], lanes["transactions"], lanes["stats"]["workers"]) == (2, 1, 0) and "one by one" in lanes["why"]
    assert asker.get("/v1/lanes/1")["height"] == 1 and asker.get("/v1/accesses/1/0")["hash"]
    for path in ("lanes/3", "lanes/0", "accesses/1/2", "accesses/9/0"):
        assert "error" in asker.get(f"/v1/{path}", 404)
    for path in ("lanes/x", "lanes/-1", "lanes/%D9%A1", "lanes/" + "9" * 40, "accesses/1/x"):
        assert "give a whole number" in asker.get(f"/v1/{path}", 400)["error"]


def test_going_back_forgets_what_was_recorded(chain: DevChain, asker: Asker) -> None:
    chain.send(b"a b")
    before = chain.snapshot()
    chain.send(b"b a")
    chain.revert(before)
    asker.get("/v1/lanes/2", 404)
    assert asker.get("/v1/lanes/latest")["height"] == 1


def test_history(chain: DevChain, asker: Asker) -> None:
    chain.send(b"a b")
    chain.send(b"x b-")
    found: dict[str, Any] = asker.get("/v1/history/62")
    assert [(change["height"], change["value"]) for change in found["changes"]] == [(2, None), (1, "312e")]
    assert (found["next"], found["oldest"], found["key"]) == (None, 0, "62")
    assert len(asker.get("/v1/history/62?from=1")["changes"]) == 1
    asker.get("/v1/history/62?from=9", 404)
    for path in ("6", "0x62", "zz", "62?from=x"):
        assert "error" in asker.get(f"/v1/history/{path}", 400)
