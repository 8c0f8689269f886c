"""What happens on a chain, for coroutines: told in the thread where it happens, heard in that of the server."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import Iterator

from ioi_exec.node.sequencer import Happened, Sequencer

BACKLOG = 256  # of what one listener has not heard yet


class Behind(Exception):
    """It heard too slowly, and missed something."""


class Feed:
    """One for each listener: `with Feed(...) as feed`, in the loop's thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._happened: asyncio.Queue[Happened] = asyncio.Queue(BACKLOG)
        self._behind = False

    async def next(self, seconds: float) -> Happened | None:
        """None: nothing within so long. Raises Behind."""
        if self._behind:
            raise Behind
        with suppress(asyncio.TimeoutError, TimeoutError):
            return await asyncio.wait_for(self._happened.get(), seconds)
        return None

    def put(self, happened: Happened) -> None:
        try:
            self._happened.put_nowait(happened)
        except asyncio.QueueFull:
            self._behind = True


class Hub:
    """Hands on what the sequencer tells."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._feeds: set[Feed] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        sequencer.listen(self._told)

    @contextmanager
    def listening(self) -> Iterator[Feed]:
        """Of what happens from now on. In the loop's thread."""
        self._loop = asyncio.get_running_loop()
        feed = Feed(self)
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

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
