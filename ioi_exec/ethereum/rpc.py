"""A node of Ethereum, asked by JSON-RPC over HTTP. What it answers is taken for nothing but JSON of a bounded size."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from threading import Event, Timer
from typing import Any, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from ioi_exec.errors import Error, InputError
from ioi_exec.files.strict_json import Malformed, parse

ANSWER_BYTES = 512 << 20
BATCH = 100
METHOD_NOT_FOUND = -32601

_TRY_AGAIN = (429, 500, 502, 503, 504)
_LIMITED = (-32005, -32016, 429)  # what nodes and those who sell access say of too many requests
_PAUSE_MOST = 30.0
_PART = 1 << 20


class NodeError(Error):
    """The node cannot be reached, or answers with what is none. code: its own, of JSON-RPC; None if the fault is another."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class _Again(Exception):
    """after: seconds that the node asks for; None if it says nothing."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Node:
    """timeout: seconds until an answer has come, whole. attempts: how often a request is made that fails in passing (429, 5xx, a connection that
    ends); between them pass pause, twice and four times as many seconds and so on, or what the node says, at most 30. Close it, or use `with`."""

    def __init__(self, url: str, *, timeout: float = 300.0, attempts: int = 6, pause: float = 0.5) -> None:
        """Raises InputError."""
        self._url = _split(url)
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause
        self._connection: http.client.HTTPConnection | None = None
        self._batches = True
        self._last = 0
        self.requests = 0
        """How many were made, each again included."""
        host, port = self._url.hostname or "", self._url.port
        self.name = f"{self._url.scheme}://{f'[{host}]' if ':' in host else host}" + (f":{port}" if port else "")
        """Without what may be a secret in its URL."""
        self._target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "ioi-exec"}
        secrets = [self._target, self._url.path.strip("/"), self._url.query, *self._url.path.split("/")]
        if self._url.username is not None:
            user, password = unquote(self._url.username), unquote(self._url.password or "")
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            secrets += [self._url.netloc, user, password, self._url.username, self._url.password or ""]
        self._secrets = sorted({one for one in secrets if len(one) >= 4}, key=len, reverse=True)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def call(self, method: str, *params: Any) -> Any:
        """Its result. Raises NodeError."""
        return self._one((method, list(params)))

    def batch(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Their results, in order; in requests of several where the node takes such. Raises NodeError."""
        results: list[Any] = []
        for at in range(0, len(calls), BATCH):
            part = calls[at : at + BATCH]
            results += self._several(part) if self._batches and len(part) > 1 else map(self._one, part)
        return results

    def _one(self, call: tuple[str, list[Any]]) -> Any:
        (said,) = self._numbered([call])
        return self._again(lambda: self._result(self._post(said), said))

    def _several(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        said = self._numbered(calls)

        def results() -> list[Any] | None:
            answer = self._post(said)
            if not isinstance(answer, list):  # an error of the whole: too many requests, or it takes no batches
                if isinstance(answer, dict) and isinstance(error := answer.get("error"), dict) and error.get("code") in _LIMITED:
                    raise _Again("too many requests")
                return None
            by_id = {one.get("id"): one for one in answer if isinstance(one, dict) and isinstance(one.get("id"), int)}
            if any(one["id"] not in by_id for one in said):
                return None
            return [self._result(by_id[one["id"]], one) for one in said]

        found = self._again(results)
        if found is None:
            self._batches = False
            return list(map(self._one, calls))
        return list(found)

    def _numbered(self, calls: Sequence[tuple[str, list[Any]]]) -> list[dict[str, Any]]:
        said = []
        for method, params in calls:
            self._last += 1
            said.append({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        return said

    def _result(self, answer: Any, said: dict[str, Any]) -> Any:
        if not isinstance(answer, dict) or answer.get("id") != said["id"] or ("result" in answer) == (answer.get("error") is not None):
            raise NodeError(f"{self.name} answers {said['method']} with what is no answer of JSON-RPC")
        if (error := answer.get("error")) is None:
            return answer["result"]
        code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
        code = code if isinstance(code, int) and not isinstance(code, bool) else None
        why = f"{said['method']}: {self._clean(str(message))}" + (f" ({code})" if code is not None else "")
        if code in _LIMITED:
            raise _Again(why)
        raise NodeError(f"{self.name}: {why}", code)

    def _again(self, attempt: Any) -> Any:
        for left in reversed(range(self._attempts)):
            try:
                return attempt()
            except _Again as error:
                if not left:
                    raise NodeError(f"{self.name}: {error}; it was asked {self._attempts} times") from None
                own = self._pause * 2 ** (self._attempts - 1 - left)
                time.sleep(min(_PAUSE_MOST, own if error.after is None else error.after))

    def _post(self, said: Any) -> Any:
        self.requests += 1
        body = json.dumps(said[0] if isinstance(said, list) and len(said) == 1 else said).encode()
        too_late = Event()
        try:
            connection = self._connected()
            ending = Timer(self._timeout, _shut, (connection.sock, too_late))  # the socket's own timeout begins again with each byte
            ending.daemon = True
            ending.start()
            try:
                connection.request("POST", self._target, body, self._headers)
                response = connection.getresponse()
                data = self._read(response)
            finally:
                ending.cancel()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if too_late.is_set() or isinstance(error, TimeoutError):
                raise NodeError(f"{self.name} did not answer within {self._timeout:g} seconds") from None
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
            raise _Again(f"the connection failed: {self._clean(why)}") from None
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        status = f"{response.status} {self._clean(response.reason)}".strip()
        if response.status in _TRY_AGAIN and (response.status != 500 or not _is_answer(data)):  # 500: some say errors of JSON-RPC so
            raise _Again(f"it answers {status}", _seconds(response.headers.get("Retry-After")))
        if response.status in (401, 403):
            raise NodeError(f"{self.name} answers {status}: it does not take the user, password or key of the URL, or none was given")
        if 300 <= response.status < 400:
            raise NodeError(f"{self.name} answers {status}: it sends elsewhere, which is not followed: give the URL that it means")
        if response.status != 200 and not _is_answer(data):
            raise NodeError(f"{self.name} answers {status}: is it the JSON-RPC address of a node?")
        try:
            return parse(data, floats=True)
        except Malformed as error:
            raise NodeError(f"{self.name} answers with what cannot be read: {error}") from None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            made = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            self._connection = made(self._url.hostname or "", self._url.port, timeout=self._timeout)
        if self._connection.sock is None:
            self._connection.connect()
        return self._connection

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        parts, size, length = [], 0, response.length
        while part := response.read(_PART):
            parts.append(part)
            size += len(part)
            if size > ANSWER_BYTES:
                raise NodeError(f"{self.name} answers with more than {ANSWER_BYTES >> 20} MiB, which is the most that is read")
        if length is not None and size != length:
            raise http.client.IncompleteRead(b"", length - size)
        return b"".join(parts)

    def _clean(self, text: str) -> str:
        """Somebody else's words: short, printable, and without the URL's secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "...")
        text = "".join(char if char.isprintable() else " " for char in text[:400])
        return text if len(text) <= 200 else text[:197] + "..."


def _shut(sock: socket.socket, too_late: Event) -> None:
    too_late.set()
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it ended by itself


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        usable = split.scheme in ("http", "https") and split.hostname and (split.port is None or split.port)
    except ValueError:
        usable = False
    if not usable or any(not 32 < ord(char) < 127 for char in url):
        raise InputError("the node's URL is none of HTTP: give it as http://HOST:PORT or https://HOST/KEY")
    return split


def _is_answer(data: bytes) -> bool:
    return data.lstrip()[:1] in (b"{", b"[") and b'"jsonrpc"' in data


def _seconds(said: str | None) -> float | None:
    return float(said) if said is not None and said.isascii() and said.isdigit() and len(said) < 6 else None
