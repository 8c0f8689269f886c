"""The socket that CometBFT connects to: tcp or unix, a thread for each connection.

A message is its length (a varint), then its bytes. Requests may come one behind the other; answers go out in their order, when no whole
request is left that came with them, so at each Flush at the latest. What is not ABCI closes its connection; what the application raises
is told to the node, which ends itself, and ends this server too.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Union

from ioi_exec.errors import InputError, MachineClosed
from ioi_exec.node.abci import Abci, failure, request_of
from ioi_exec.node.logs import told
from ioi_exec.node.wire import Malformed, varint

log = logging.getLogger("ioi_exec.node")

CONNECTIONS_MOST = 16  # a node has four
_READ = 1 << 16
_WRITE = 1 << 18  # bytes of answers that wait, at most, before they are written
_LENGTH_BYTES = 10
_PATIENCE = 1.0  # seconds of silence of a node that was told of a failure, and ought to end

Address = Union[Path, tuple[str, int]]


def address_of(listen: str, home: Path) -> Address:
    """Of "unix://PATH", relative to home, or "tcp://HOST:PORT". Raises InputError."""
    kind, _, rest = listen.partition("://")
    if kind == "unix" and rest:
        return home / rest
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) < 1 << 16:
        return host.removeprefix("[").removesuffix("]"), int(port)
    raise InputError(f"abci.listen is {listen!r}: give unix://PATH or tcp://HOST:PORT")


class Server:
    """Listens from the beginning on; `serve` answers until `stop`, or until the application fails."""

    def __init__(self, abci: Abci, address: Address, message_bytes: int) -> None:
        """Raises InputError where the address cannot be listened at."""
        self._abci = abci
        self._message_bytes = message_bytes
        self._connections: dict[_Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._failed: BaseException | None = None
        self._wake, self._woken = socket.socketpair()
        self._path = address if isinstance(address, Path) else None
        self._listening = _listening(address)

    @property
    def address(self) -> str:
        """As CometBFT's proxy_app takes it."""
        if self._path is not None:
            return f"unix://{self._path}"
        host, port = self._listening.getsockname()[:2]
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"

    def serve(self) -> None:
        """Until `stop` is called. Raises what the application failed with."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._listening, selectors.EVENT_READ)
            ready.register(self._woken, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._woken for key, _ in ready.select()):
                    break
                self._accept()
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """May be called from a signal handler, and again."""
        with suppress(OSError):
            self._wake.send(b"\0", socket.MSG_DONTWAIT)

    def close(self, seconds: float = 5.0) -> None:
        """Close every connection, each after the call that is going on."""
        self._listening.close()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        with self._lock:
            open_ones = dict(self._connections)
        for connection in open_ones:
            connection.end()
        for thread in open_ones.values():
            thread.join(seconds)
        self._wake.close()
        self._woken.close()

    def _accept(self) -> None:
        try:
            peer, _ = self._listening.accept()
        except OSError as error:
            told(log, "a connection could not be accepted", logging.WARNING, error=str(error))
            return
        with self._lock:
            if len(self._connections) >= CONNECTIONS_MOST:
                told(log, "a connection was refused: there are as many as there may be", logging.WARNING, connections=CONNECTIONS_MOST)
                peer.close()
                return
            connection = _Connection(peer, self)
            thread = threading.Thread(target=connection.run, name="abci", daemon=True)
            self._connections[connection] = thread
        thread.start()

    def forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.pop(connection, None)

    def fail(self, error: BaseException) -> None:
        """The application cannot go on."""
        if self._failed is None:
            self._failed = error
        self.stop()


class _Connection:
    def __init__(self, peer: socket.socket, server: Server) -> None:
        self._peer = peer
        self._server = server
        self._ended = False

    def run(self) -> None:
        told(log, "connected", logging.DEBUG)
        try:
            with self._peer:
                self._answer_all()
        except MachineClosed:
            pass  # this daemon ends
        except Malformed as error:
            told(log, "a connection was closed: what came is not ABCI", logging.WARNING, error=str(error))
        except OSError as error:
            told(log, "a connection broke", logging.WARNING, error=str(error))
        except BaseException as error:
            self._server.fail(error)
        finally:
            self._server.forget(self)

    def end(self) -> None:
        """After the call that is going on."""
        self._ended = True
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RD)

    def _answer_all(self) -> None:
        most = self._server._message_bytes
        came, at = bytearray(), 0
        out: list[bytes] = []
        waiting = 0
        while not self._ended:
            size = _message_at(came, at, most)
            if size is None:
                if out:
                    self._peer.sendall(b"".join(out))
                    out, waiting = [], 0
                del came[:at]
                at = 0
                more = self._peer.recv(_READ)
                if not more:
                    if came and not self._ended:
                        raise Malformed(f"it ended in the middle of a message, {len(came)} bytes of which came")
                    return
                came += more
                continue
            begin, end = size
            answer = self._answer(bytes(came[begin:end]), out)
            at = end
            out += (varint(len(answer)), answer)
            waiting += len(answer)
            if waiting > _WRITE:
                self._peer.sendall(b"".join(out))
                out, waiting = [], 0
        if out:
            self._peer.sendall(b"".join(out))

    def _answer(self, message: bytes, before: list[bytes]) -> bytes:
        number, body = request_of(message)
        try:
            return self._server._abci.answer(number, body)
        except (Malformed, MachineClosed):
            raise
        except Exception as error:
            said = failure(f"{type(error).__name__}: {error}")
            with suppress(OSError):
                self._peer.sendall(b"".join((*before, varint(len(said)), said)))
                self._hear_out()
            raise

    def _hear_out(self) -> None:
        """What was sent reaches the peer though it is still sending: a socket that is closed over what it has not read may lose both."""
        self._peer.shutdown(socket.SHUT_WR)
        self._peer.settimeout(_PATIENCE)
        while self._peer.recv(_READ):
            pass


def _message_at(came: bytearray, at: int, most: int) -> tuple[int, int] | None:
    """Where the message is that begins with its length at this place; None: not all of it has come. Raises Malformed."""
    size = shift = 0
    for index in range(at, min(len(came), at + _LENGTH_BYTES)):
        byte = came[index]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if size > most:
                raise Malformed(f"a message of {size} bytes was begun: at most {most} (abci.message_bytes)")
            return (index + 1, index + 1 + size) if index + 1 + size <= len(came) else None
    if len(came) - at >= _LENGTH_BYTES:
        raise Malformed("a message begins with no length")
    return None


def _listening(address: Address) -> socket.socket:
    try:
        if isinstance(address, Path):
            return _listening_unix(address)
        family, kind, proto, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, proto)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(CONNECTIONS_MOST)
        except BaseException:
            listening.close()
            raise
        return listening
    except OSError as error:
        shown = f"unix://{address}" if isinstance(address, Path) else "tcp://{}:{}".format(*address)
        why = "something listens there already" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise InputError(f"abci.listen: {shown} cannot be listened at: {why}") from None


def _listening_unix(path: Path) -> socket.socket:
    """A socket's file that nobody listens at any more is taken away: one that was killed left it."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_over(path):
            path.unlink()
        elif path.exists() and not path.is_socket():
            raise InputError(f"abci.listen: unix://{path} cannot be listened at: there is a file that is no socket; remove it, or give another path")
        listening.bind(os.fspath(path))
        os.chmod(path, 0o600)
        listening.listen(CONNECTIONS_MOST)
        return listening
    except BaseException:
        listening.close()
        raise


def _is_left_over(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying:
        try:
            trying.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
    return False
