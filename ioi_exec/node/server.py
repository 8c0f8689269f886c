"""The socket that CometBFT connects to: tcp or unix, a thread for each connection.

A message is its length (a varint), then its bytes. Requests may come one behind the other; answers go out in their order, when no whole
request is left that came with them, so at each Flush at the latest. What is not ABCI closes its connection; what the application raises
is told to the node, which ends itself, and ends this server too.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path

from ioi_exec.errors import MachineClosed
from ioi_exec.node.abci import FLUSH, Abci, failure, request_of
from ioi_exec.node.addresses import Address, listening_at, shown
from ioi_exec.node.logs import told
from ioi_exec.node.wire import Malformed, varint

log = logging.getLogger("ioi_exec.node")

CONNECTIONS_MOST = 16  # a node has four
_READ = 1 << 16
_WRITE = 1 << 18  # bytes of answers that wait, at most, before they are written
_LENGTH_BYTES = 10
_FLUSHED = bytes([2, (FLUSH + 1) << 3 | 2, 0])
_PATIENCE = 1.0  # seconds of silence of a node that was told of a failure, and ought to end

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
        self._address = address
        self._listening = listening_at(address, "abci.listen", CONNECTIONS_MOST)

    @property
    def address(self) -> str:
        """As CometBFT's proxy_app takes it."""
        return shown(self._address, self._listening)

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._connections)

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
        if isinstance(self._address, Path):
            with suppress(OSError):
                self._address.unlink()
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
        flush = _message_at(came, at, most)  # the last call is answered, and a node waits for the Flush that it sent with it
        if flush is not None and request_of(bytes(came[flush[0] : flush[1]]))[0] == FLUSH:
            out.append(_FLUSHED)
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
