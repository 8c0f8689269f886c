"""What happens on a chain, for coroutines: told in the thread where it happens, heard in that of the server."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import Iterator

from aiohttp import web

from ioi_exec.node.sequencer import Happened, Sequencer

BACKLOG = 256  # of what one listener has not heard yet


class Over(Exception):
    """There is no more: the server ends, or the listener heard too slowly and missed something."""


class Feed:
    """What one listener has not heard yet. In the loop's thread."""

    def __init__(self) -> None:
        self._happened: asyncio.Queue[Happened | None] = asyncio.Queue(BACKLOG)
        self._over = False

    async def next(self, seconds: float) -> Happened | None:
        """None: nothing within so long. Raises Over."""
        if self._over:
            raise Over
        with suppress(asyncio.TimeoutError, TimeoutError):
            happened = await asyncio.wait_for(self._happened.get(), seconds)
            if happened is None:
                raise Over
            return happened
        return None

    def put(self, happened: Happened | None) -> None:
        """None: there is no more."""
        try:
            self._happened.put_nowait(happened)
        except asyncio.QueueFull:
            happened = None
        self._over = self._over or happened is None


class Hub:
    """Hands on what the sequencer tells. A table of routes without any: it ends with the server."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._feeds: set[Feed] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        sequencer.listen(self._told)

    def register(self, app: web.Application) -> None:
        app.on_shutdown.append(self._end)

    @contextmanager
    def listening(self) -> Iterator[Feed]:
        """Of what happens from now on. In the loop's thread."""
        self._loop = asyncio.get_running_loop()
        feed = Feed()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    async def _end(self, app: web.Application) -> None:
        """The server ends: whoever listens hears no more."""
        for feed in self._feeds:
            feed.put(None)

    def __len__(self) -> int:
        return len(self._feeds)

    def _told(self, happened: Happened) -> None:
        loop = self._loop
        if loop is not None and happened.kind != "waits":
            with suppress(RuntimeError):  # the server is closed
                loop.call_soon_threadsafe(self._hand_on, happened)

    def _hand_on(self, happened: Happened) -> None:
        for feed in self._feeds:
            feed.put(happened)
