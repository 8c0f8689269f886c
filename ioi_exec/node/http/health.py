"""/metrics, /healthz and /readyz of `ioi-exec dev`: what `ioi-exec serve` has on a socket of its own."""

from __future__ import annotations

from aiohttp import web

from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.server import SAFE, on_engine
from ioi_exec.node.producer import Producer


class Health:
    def __init__(self, chain: DevChain, producer: Producer) -> None:
        self._chain = chain
        self._producer = producer

    def register(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n", headers=SAFE)

    async def _readyz(self, request: web.Request) -> web.Response:
        """It is not, where the last block could not be made."""
        lacking = "the state is closed" if self._chain.application.closed else self._producer.error
        return web.Response(text=f"{lacking or 'ready'}\n", status=503 if lacking else 200, headers=SAFE)

    async def _metrics(self, request: web.Request) -> web.Response:
        from ioi_exec.node.metrics import Metrics

        text, kind = await on_engine(request, Metrics(self._chain.application).text)
        return web.Response(body=text, headers={**SAFE, "Content-Type": kind})
