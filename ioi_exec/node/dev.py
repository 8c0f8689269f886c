"""The process that `ioi-exec dev` is: a chain, what makes its blocks, and the HTTP server, until a signal."""

from __future__ import annotations

import logging
import select
import signal
import socket
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import Any, Sequence

from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.api import Api
from ioi_exec.node.http.events import Events
from ioi_exec.node.http.feed import Hub
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.http.health import Health
from ioi_exec.node.http.page import Page
from ioi_exec.node.http.rpc import Rpc
from ioi_exec.node.http.server import HttpServer, Table
from ioi_exec.node.logs import told
from ioi_exec.node.producer import Pace, Producer
from ioi_exec.node.recordings import Recordings
from ioi_exec.node.reloading import Reloader
from ioi_exec.vm.loading import Args

log = logging.getLogger("ioi_exec.node")

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Dev:
    """It listens, and makes blocks, once it is made. Close it, or use `with`: it owns the chain then. In the main thread alone."""

    def __init__(self, chain: DevChain, pace: Pace, listen: tuple[str, int], guard: Guard, recordings: Recordings | None = None,
                 reload: tuple[str, Args | None] | None = None) -> None:
        """recordings: of the chain's blocks, for the page. reload: the VM that is imported anew when its files change, and its arguments. Raises InputError where that cannot be listened at; the chain is the caller's still."""
        self._chain = chain
        self._failed: BaseException | None = None
        self._before: dict[int, Any] = {}  # handlers of signals
        with ExitStack() as opened:
            self._wake, self._woken = socket.socketpair()
            opened.callback(self._wake.close)
            opened.callback(self._woken.close)
            self._producer = Producer(chain.sequencer, pace, self._fail)
            self._reloader = None if reload is None else Reloader(chain.sequencer, *reload, self._fail)
            hub = Hub(chain.sequencer)
            tables: Sequence[Table] = [
                hub, Api(chain, self._producer, self._reloader, hub), Events(chain, hub), Rpc(chain, hub), Health(chain, self._producer),
                Page(chain.machine, recordings or Recordings(0)),
            ]
            self._server = HttpServer(tables, listen, guard)
            self._producer.start()
            if self._reloader is not None:
                self._reloader.start()
            opened.pop_all()

    @property
    def url(self) -> str:
        return self._server.url

    def described(self) -> dict[str, Any]:
        chain = self._chain
        info = chain.machine.info
        return {
            "url": self.url, "chain_id": info.chain_id, "vm": str(info.vm), "height": info.height if info.version else 0,
            "blocks": str(self._producer.pace),
        }

    def run(self) -> None:
        """Until a signal that asks to end, which may have come since `with`. Raises what the chain failed with."""
        select.select([self._woken], [], [])
        if self._failed is not None:
            raise self._failed
        told(log, "ending")

    def close(self) -> None:
        """At a block's edge."""
        if self._reloader is not None:
            self._reloader.stop()
        self._chain.sequencer.stop()
        self._producer.stop()
        self._server.close()
        self._wake.close()
        self._woken.close()
        self._chain.close()

    def _fail(self, error: BaseException) -> None:
        self._failed = error
        self._stop()

    def _stop(self) -> None:
        with suppress(OSError):
            self._wake.send(b"\0", socket.MSG_DONTWAIT)

    def __enter__(self) -> Dev:
        """From now on signals that ask to end are for `run`."""

        def end(number: int, frame: FrameType | None) -> None:
            self._stop()

        self._before.update({number: signal.signal(number, end) for number in _ENDING})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
