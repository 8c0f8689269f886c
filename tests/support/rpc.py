"""Asking an HTTP server, as whoever it is."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import Any, Iterator
from urllib.parse import urlsplit


class Asker:
    def __init__(self, url: str) -> None:
        self._place = urlsplit(url).netloc

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """_ in the name of a header stands for -."""
        connection = http.client.HTTPConnection(self._place, timeout=120)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def get(self, path: str, status: int = 200) -> Any:
        got, body, _ = self.raw("GET", path)
        assert got == status, (got, body)
        return json.loads(body)

    def post(self, path: str, value: Any, status: int = 200) -> Any:
        got, body, _ = self.raw("POST", path, json.dumps(value).encode())
        assert got == status, (got, body)
        return json.loads(body)

    def call(self, method: str, /, **params: Any) -> Any:
        answer = self.post("/", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert "error" not in answer, answer
        return answer["result"]


class Stream:
    def __init__(self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> None:
        connection.request("GET", path, headers=headers)
        self.answer = connection.getresponse()

    def next(self) -> tuple[str, str, Any]:
        """(event, id, data); of a comment ("", "", None). What ended is ("end", "", None)."""
        found: dict[str, str] = {}
        while True:
            line = self.answer.readline()
            if line == b"":
                return "end", "", None
            if line == b"\n":
                return found.get("event", ""), found.get("id", ""), json.loads(found["data"]) if "data" in found else None
            name, _, value = line.decode().rstrip("\n").partition(": ")
            found[name] = value


@contextmanager
def stream(ask: Any, path: str = "/v1/events", **headers: str) -> Iterator[Stream]:
    connection = http.client.HTTPConnection(ask._place, timeout=120)
    try:
        yield Stream(connection, path, {name.replace("_", "-"): value for name, value in headers.items()})
    finally:
        connection.close()
