"""A transaction on its way into a block: submitted, and waited for."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from time import monotonic

from aiohttp import web

from ioi_exec.block.receipt import Receipt
from ioi_exec.node.http.feed import Hub, Over
from ioi_exec.node.http.server import on_engine
from ioi_exec.node.sequencer import Sequencer
from ioi_exec.state.kept import KeptTransaction

COMMIT_SECONDS = 10.0  # as CometBFT's timeout_broadcast_tx_commit
WAITERS_MOST = 128


@dataclass(frozen=True)
class Sent:
    """kept: where it is in a block; None: it is in none, and `why` says so, or it was not waited for."""

    hash: bytes
    check: Receipt
    kept: KeptTransaction | None = None
    why: str = ""


async def send(request: web.Request, sequencer: Sequencer, hub: Hub, tx: bytes, wait: bool) -> Sent:
    """wait: until it is in a block, at most COMMIT_SECONDS."""
    digest = sha256(tx).digest()
    if not wait:
        return Sent(digest, await on_engine(request, sequencer.submit, tx))
    if len(hub) >= WAITERS_MOST:
        raise web.HTTPServiceUnavailable(text=f"{WAITERS_MOST} requests wait for blocks, and no more may")
    until = monotonic() + COMMIT_SECONDS
    with hub.listening() as feed:
        before = await on_engine(request, lambda: sequencer.ledger.height)
        check = await on_engine(request, sequencer.submit, tx)
        if not check.ok:
            return Sent(digest, check)
        while True:
            found = await on_engine(request, sequencer.ledger.transaction, digest)
            if found is not None and found.height > before:
                return Sent(digest, check, found)
            if (why := sequencer.mempool.why_dropped(digest)) is not None:
                return Sent(digest, check, None, why)
            left = until - monotonic()
            try:
                happened = await feed.next(left) if left > 0 else None
            except Over:
                return Sent(digest, check, None, "the chain ends, or makes blocks too fast to look at each")
            if happened is None:
                return Sent(digest, check, None, "timed out waiting for tx to be included in a block")
