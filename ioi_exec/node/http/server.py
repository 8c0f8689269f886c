"""An HTTP server in a thread of its own, by aiohttp: tables of routes, a guard before all of them, and bounds on everything that is sent to it.

    class Health:
        def register(self, app):
            app.router.add_get("/health", self.health)

        async def health(self, request):
            return json_answer(await on_engine(request, self.engine.health))
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Protocol, Sequence, TypeVar

from aiohttp import web

from ioi_exec.errors import Error, InputError, InputTypeError, LimitExceeded, MachineClosed, StateInUse, VersionMissing
from ioi_exec.files.strict_json import Malformed, parse
from ioi_exec.node.addresses import listening_at
from ioi_exec.node.http.guard import Guard
from ioi_exec.node.logs import told

log = logging.getLogger("ioi_exec.node")

BODY_BYTES = 16 << 20
LINE_BYTES = 64 << 10  # of a request's first line, and of a header
CONNECTIONS_MOST = 256
ASKING_MOST = 256  # requests that wait for the engine
BODY_SECONDS = 30.0
_THREADS = 8
_REVERTING_LOOKS, _REVERTING_PAUSE = 1000, 0.02  # at a state that goes back, and seconds between them
_CLOSE_SECONDS = 5.0

_Answer = TypeVar("_Answer")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Table(Protocol):
    """Some routes."""

    def register(self, app: web.Application) -> None: ...


class HttpServer:
    """Listens and answers from the beginning on, until it is closed."""

    def __init__(self, tables: Sequence[Table], listen: tuple[str, int], guard: Guard) -> None:
        """Raises InputError where that cannot be listened at."""
        self._listening = listening_at(listen, "--listen", CONNECTIONS_MOST)
        self._guard = guard
        self._tables = tables
        self._loop = asyncio.new_event_loop()
        self._engine = ThreadPoolExecutor(_THREADS, "http-engine")
        self._ending: asyncio.Event = asyncio.Event()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="http", daemon=True)
        self._thread.start()
        started.result()

    @property
    def url(self) -> str:
        host, port = self._listening.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Streams end at once, other requests have some seconds. Idempotent."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._engine.shutdown(wait=True, cancel_futures=True)
        self._listening.close()

    def _run(self, started: Future[None]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(started))
        finally:
            self._loop.close()

    async def _serve(self, started: Future[None]) -> None:
        app = web.Application(client_max_size=BODY_BYTES, middlewares=[self._guarded, _errors_told])
        app[ENGINE] = Engine(self._engine)
        app.on_response_prepare.append(self._allowed)
        bounds: dict[str, Any] = {"access_log": None, "logger": _logger(), "max_line_size": LINE_BYTES, "max_field_size": LINE_BYTES}
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_CLOSE_SECONDS, **bounds)
        try:
            for table in self._tables:
                table.register(app)
            await runner.setup()
            serving = runner.server
            assert serving is not None

            def protocol() -> asyncio.Protocol:
                if len(serving.connections) < CONNECTIONS_MOST:
                    return _Connection(serving, loop=self._loop, **bounds)
                told(log, "a connection was refused: there are as many as there may be", logging.WARNING, connections=CONNECTIONS_MOST)
                return _Refused()

            server = await self._loop.create_server(protocol, sock=self._listening)
        except BaseException as error:
            started.set_exception(error)
            await runner.cleanup()
            return
        started.set_result(None)
        await self._ending.wait()
        server.close()
        await runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if why := self._guard.refuses(request):
            told(log, "a request was refused", logging.WARNING, why=why, path=request.path[:200])
            return error_answer(why, 403)
        if request.method == "OPTIONS" and (headers := self._guard.preflight(request)):
            return web.Response(status=204, headers=headers)
        return await handler(request)

    async def _allowed(self, request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers.update(self._guard.allowed(request))


class Engine:
    """Threads that ask the engine, so many at a time; as many again may wait."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._asking = 0

    async def ask(self, function: Callable[..., _Answer], *arguments: Any) -> _Answer:
        if self._asking >= ASKING_MOST:
            raise web.HTTPServiceUnavailable(text="too many requests wait for the engine: try again")
        self._asking += 1
        try:
            for left in range(_REVERTING_LOOKS, -1, -1):
                try:
                    return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
                except StateInUse:  # it is being rolled back, and whoever reads has to wait
                    if not left:
                        raise
                    await asyncio.sleep(_REVERTING_PAUSE)
            raise AssertionError
        finally:
            self._asking -= 1


ENGINE = web.AppKey("engine", Engine)


async def on_engine(request: web.Request, function: Callable[..., _Answer], *arguments: Any) -> _Answer:
    """What it returns, called in a thread that may ask the engine."""
    return await request.app[ENGINE].ask(function, *arguments)


async def read_body(request: web.Request) -> bytes:
    """Raises HTTPRequestEntityTooLarge, HTTPRequestTimeout."""
    try:
        return await asyncio.wait_for(request.read(), BODY_SECONDS)
    except (asyncio.TimeoutError, TimeoutError):
        raise web.HTTPRequestTimeout(text=f"the body did not come within {BODY_SECONDS:.0f} s") from None


async def json_body(request: web.Request) -> Any:
    """The same as JSON. Raises InputError too."""
    try:
        return parse(await read_body(request))
    except Malformed as error:
        raise InputError(f"the body: {error}") from None


def json_answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value) + "\n", status=status, content_type="application/json", headers=SAFE)


def error_answer(why: str, status: int) -> web.Response:
    return json_answer({"error": why}, status)


SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def status_of(error: Error) -> int:
    if isinstance(error, VersionMissing):
        return 404
    if isinstance(error, MachineClosed):
        return 503
    return 400 if isinstance(error, (InputError, InputTypeError, LimitExceeded)) else 500


@web.middleware
async def _errors_told(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_answer(error.text or error.reason, error.status)
    except Error as error:
        status = status_of(error)
        if status == 500:
            told(log, "a request failed", logging.ERROR, path=request.path[:200], error=str(error))
        return error_answer(str(error), status)


class _Connection(web.RequestHandler):
    """What cannot be read is not repeated to whoever sent it, who may be a browser that was made to."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        return super().handle_error(request, status, exc, "the request cannot be read" if message else None)


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _logger() -> logging.Logger:
    """What aiohttp says of a connection that speaks no HTTP is one line, without its traceback, and no error of this server."""
    logger = logging.getLogger("ioi_exec.node.http")
    if not logger.filters:
        logger.addFilter(_shortened)
    return logger


def _shortened(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is not None and type(error).__module__.startswith("aiohttp"):
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "a request cannot be read: %s", (repr(getattr(error, "message", "") or type(error).__name__)[:200],)
    return True
