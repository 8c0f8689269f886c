"""/metrics, /healthz and /readyz on a socket of their own, by the standard library. Whoever connects may read them and no more.

What comes is hostile: a request is read as far as its head goes, within HEAD_BYTES and HEAD_SECONDS, and there are at most CONNECTIONS_MOST
at a time; one more is closed at once. A connection has one answer.
"""

from __future__ import annotations

import errno
import io
import logging
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import monotonic
from typing import Any, Callable

from ioi_exec.node.addresses import Address, listening_at, shown
from ioi_exec.node.logs import told
from ioi_exec.node.readiness import Readiness

log = logging.getLogger("ioi_exec.node")

HEAD_BYTES = 8192
HEAD_SECONDS = 5.0
CONNECTIONS_MOST = 16
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # of descriptors, or of memory
_PAUSE = threading.Event()
_PLAIN = "text/plain; charset=utf-8"


class Monitor:
    """Listens and answers, in threads of its own, once it is made. Close it."""

    def __init__(self, address: Address, readiness: Readiness, metrics: Callable[[], tuple[bytes, str]]) -> None:
        """metrics: what /metrics answers, and its content type. Raises InputError where the address cannot be listened at."""
        self.readiness = readiness
        self.metrics = metrics
        self._address = address
        self._listening = listening_at(address, "monitoring.listen", CONNECTIONS_MOST)
        self._places = threading.Semaphore(CONNECTIONS_MOST)
        self._thread = threading.Thread(target=self._serve, name="monitor", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return shown(self._address, self._listening)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        self._thread.join()
        self._listening.close()
        if isinstance(self._address, Path):
            with suppress(OSError):
                self._address.unlink()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno in _FULL:
                    told(log, "a connection to monitoring.listen could not be accepted", logging.WARNING, error=str(error))
                    _PAUSE.wait(1.0)
                    continue
                return  # it is closed
            if not self._places.acquire(blocking=False):
                peer.close()
                continue
            try:
                threading.Thread(target=self._answer, args=(peer,), name="monitor-answer", daemon=True).start()
            except RuntimeError as error:  # there is no memory for one
                self._places.release()
                peer.close()
                told(log, "a request to monitoring.listen could not be answered", logging.WARNING, error=str(error))

    def _answer(self, peer: socket.socket) -> None:
        try:
            with peer:
                _Answer(peer, self)
        except OSError as error:
            told(log, "a connection to monitoring.listen broke", logging.WARNING, error=str(error))
        except Exception as error:
            told(log, "a request to monitoring.listen could not be answered", logging.WARNING, error=f"{type(error).__name__}: {error}")
        finally:
            self._places.release()


class _Answer(BaseHTTPRequestHandler):
    """Of one request."""

    server_version, sys_version = "ioi-exec", ""
    protocol_version = "HTTP/1.0"

    def __init__(self, peer: socket.socket, monitor: Monitor) -> None:
        self._monitor = monitor
        super().__init__(peer, ("", 0), monitor)  # type: ignore[arg-type]  # a server is what its messages would be written by

    def setup(self) -> None:
        self.connection = self.request
        self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))
        self.wfile = io.BytesIO()

    def finish(self) -> None:
        self.connection.settimeout(HEAD_SECONDS)
        self.connection.sendall(self.wfile.getvalue())  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._said(HTTPStatus.OK, b"alive\n", _PLAIN)
        elif path == "/readyz":
            lacking = self._monitor.readiness.lacking()
            self._said(HTTPStatus.SERVICE_UNAVAILABLE if lacking else HTTPStatus.OK, (lacking or "ready").encode() + b"\n", _PLAIN)
        elif path == "/metrics":
            self._said(HTTPStatus.OK, *self._monitor.metrics())
        else:
            self._said(HTTPStatus.NOT_FOUND, b"there are /metrics, /healthz and /readyz\n", _PLAIN)

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Without what came, which theirs repeats."""
        self._said(HTTPStatus(code), HTTPStatus(code).phrase.encode() + b"\n", _PLAIN)

    def _said(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        told(log, "monitoring.listen", logging.DEBUG, said=format % args)


def _head(peer: socket.socket) -> bytes:
    """Of a request; empty: nothing came. Raises OSError for what ends, or goes on, without an end of a head."""
    came, end = bytearray(), monotonic() + HEAD_SECONDS
    while b"\r\n\r\n" not in came and b"\n\n" not in came:
        if len(came) == HEAD_BYTES:
            raise OSError(f"its request has no end within {HEAD_BYTES} bytes")
        if (left := end - monotonic()) <= 0:
            raise TimeoutError("its request did not end in time")
        peer.settimeout(left)
        more = peer.recv(HEAD_BYTES - len(came))
        if not more and not came:
            break
        if not more:
            raise OSError(f"its request ended within its head, {len(came)} bytes of which came")
        came += more
    return bytes(came)
