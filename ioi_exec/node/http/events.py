"""GET /v1/events: what happens on the chain, as a stream of server-sent events.

    event: block        id: HEIGHT-HASH; data: the block with its transactions, and `events`, those of its hooks
    event: reverted     data: {"height": H}: the blocks above have never been
    event: reloaded     data: {"height": H, "error": text or null}: the VM, after this block, or why it was not

`?from=H`, or the browser's own Last-Event-ID, begins with an earlier block, as far back as blocks are kept; where the one of Last-Event-ID was undone,
all of them come again, after `reverted`. A comment comes every 15 s where nothing happens.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from aiohttp import web

from ioi_exec.arguments import MAX_INT64
from ioi_exec.errors import InputError, VersionMissing
from ioi_exec.files.strict_json import Malformed, number, written
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.feed import Hub, Over
from ioi_exec.node.http.server import SAFE, on_engine
from ioi_exec.node.http.shown import whole_block_object

STREAMS_MOST = 64
QUIET_SECONDS = 15.0
_WRITE_SECONDS = 30.0  # that a reader may leave what is written to it


class Events:
    def __init__(self, chain: DevChain, hub: Hub) -> None:
        self._chain = chain
        self._hub = hub
        self._streams = 0

    def register(self, app: web.Application) -> None:
        app.router.add_get("/v1/events", self._stream)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        begin = _given(request)
        if self._streams >= STREAMS_MOST:
            raise web.HTTPServiceUnavailable(text=f"{STREAMS_MOST} streams are open, and no more may be")
        self._streams += 1
        try:
            with self._hub.listening() as feed:
                height, undone = await on_engine(request, self._first, request.headers.get("Last-Event-ID"), begin)
                answer = web.StreamResponse(headers={**SAFE, "Content-Type": "text/event-stream"})
                await answer.prepare(request)  # whoever has the headers misses nothing that happens from then on
                with suppress(Over, ConnectionError, asyncio.TimeoutError, TimeoutError):
                    if undone:
                        await _event(answer, "reverted", {"height": written(height - 1)})
                    while True:
                        height = await self._blocks(request, answer, height)
                        happened = await feed.next(QUIET_SECONDS)
                        if happened is None:
                            await _write(answer, ": \n\n")
                        elif happened.kind == "reverted":
                            await _event(answer, "reverted", {"height": written(happened.height)})
                            height = happened.height + 1
                        elif happened.kind == "reloaded":
                            await _event(answer, "reloaded", {"height": written(happened.height), "error": happened.error or None})
                return answer
        finally:
            self._streams -= 1

    def _first(self, last: str | None, begin: int | None) -> tuple[int, bool]:
        """The height of the first block to send; whether the one that was sent last has been undone."""
        ledger = self._chain.ledger
        if last is None:
            return ledger.height + 1 if begin is None else begin, False
        if self._chain.sequencer.names(last):
            return int(last.partition("-")[0]) + 1, False
        return ledger.oldest, True  # nobody knows any more how far it has been undone

    async def _blocks(self, request: web.Request, answer: web.StreamResponse, height: int) -> int:
        """Send those there are from this height on; returns the height of the next one."""
        while True:
            try:
                sent, text = await on_engine(request, self._shown, height)
            except VersionMissing:
                return height
            await _write(answer, text)
            height = sent + 1

    def _shown(self, height: int) -> tuple[int, str]:
        """The first block from this height on that can be read. Raises VersionMissing."""
        with self._chain.machine.pinned():
            height = max(height, self._chain.ledger.oldest)
            block = self._chain.ledger.block(height)
        said = json.dumps(whole_block_object(block, self._chain.sequencer.events(height)))
        return height, f"event: block\nid: {height}-{block.hash.hex()}\ndata: {said}\n\n"


def _given(request: web.Request) -> int | None:
    try:
        return number(request.query["from"], "from", MAX_INT64) if "from" in request.query else None
    except Malformed as error:
        raise InputError(str(error)) from None


async def _event(answer: web.StreamResponse, name: str, value: dict[str, Any]) -> None:
    await _write(answer, f"event: {name}\ndata: {json.dumps(value)}\n\n")


async def _write(answer: web.StreamResponse, text: str) -> None:
    """Raises TimeoutError where the reader does not take it."""
    await asyncio.wait_for(answer.write(text.encode()), _WRITE_SECONDS)
