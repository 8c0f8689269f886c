"""/v1: the chain as JSON (docs/node.md has each route)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Mapping

from aiohttp import web

from ioi_exec.arguments import MAX_INT64
from ioi_exec.errors import InputError, VersionMissing
from ioi_exec.files.strict_json import Malformed, fields, hex_bytes, json_object, number, written
from ioi_exec.node import queries
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.http.feed import Hub
from ioi_exec.node.http.sending import Sent, send
from ioi_exec.node.http.server import json_answer, json_body, on_engine
from ioi_exec.node.http.shown import (
    block_object,
    kept_object,
    proof_object,
    receipt_object,
    whole_block_object,
)
from ioi_exec.node.messages import QueryRequest
from ioi_exec.node.producer import Producer
from ioi_exec.node.reloading import Reloader

BLOCKS_MOST = 100
LISTED_MOST = 100
MINED_MOST = 10_000


class Api:
    def __init__(self, chain: DevChain, producer: Producer, reloader: Reloader | None, hub: Hub) -> None:
        self._chain = chain
        self._producer = producer
        self._reloader = reloader
        self._hub = hub

    def register(self, app: web.Application) -> None:
        router = app.router
        router.add_get("/v1/status", self._status)
        router.add_get("/v1/blocks", self._blocks)
        router.add_get("/v1/blocks/{height}", self._block)
        router.add_post("/v1/txs", self._send)
        router.add_get("/v1/txs/{hash}", self._transaction)
        router.add_get("/v1/receipts/{hash}", self._receipt)
        router.add_post("/v1/simulate", self._simulate)
        router.add_get("/v1/state/{key}", self._state)
        router.add_post("/v1/mine", self._mine)
        router.add_post("/v1/snapshot", self._snapshot)
        router.add_post("/v1/revert", self._revert)
        router.add_get("/v1/waiting", self._waiting)
        router.add_get("/v1/accounts", self._accounts)

    async def _status(self, request: web.Request) -> web.Response:
        return json_answer(await on_engine(request, self._described))

    def _described(self) -> dict[str, Any]:
        chain, machine = self._chain, self._chain.machine
        with machine.pinned():
            info = machine.info
            return {
                "chain_id": info.chain_id, "vm": info.vm.name, "vm_version": info.vm.version, "tree": info.tree,
                "mode": str(self._producer.pace), "height": written(info.height),
                "hash": info.header.block_id.hex() if info.header is not None else "",
                "app_hash": chain.ledger.app_hash(info).hex(), "state_root": info.state_root.hex(),
                "oldest_height": written(min(chain.ledger.oldest, info.height)), "initial_height": written(info.initial_height),
                "waiting": len(chain.sequencer.mempool), "workers": machine.workers,
                "validator": {"address": chain.sequencer.proposer.hex(), "public_key": chain.keys.validator.public.hex()},
                "stopped": self._producer.error or None,
                "not_reloaded": self._reloader.error or None if self._reloader is not None else None,
            }

    async def _blocks(self, request: web.Request) -> web.Response:
        limit = _number(request.query, "limit", 20)
        before = _number(request.query, "before", 0)
        if not 1 <= limit <= BLOCKS_MOST:
            raise InputError(f"limit is {limit}: give 1 to {BLOCKS_MOST}")
        return json_answer({"blocks": await on_engine(request, self._listed, before, limit)})

    def _listed(self, before: int, limit: int) -> list[dict[str, Any]]:
        machine = self._chain.machine
        with machine.pinned():
            info = machine.info
            newest = min(info.height, before - 1) if before else info.height
            heights = range(newest, max(newest - limit, self._chain.ledger.oldest - 1), -1)
            return [block_object(self._chain.ledger.block(height)) for height in heights]

    async def _block(self, request: web.Request) -> web.Response:
        text = request.match_info["height"]
        height = None if text == "latest" else _from_text("the height", text)
        return json_answer(await on_engine(request, self._whole, height))

    def _whole(self, height: int | None) -> dict[str, Any]:
        block = self._chain.ledger.block(height)
        return whole_block_object(block, self._chain.sequencer.events(block.info.height))

    async def _send(self, request: web.Request) -> web.Response:
        body = _object(await json_body(request), ("tx", "wait"), ("tx",))
        wait = body.get("wait", "check")
        if wait not in ("check", "commit"):
            raise InputError("wait is one of: check, commit")
        sent = await send(request, self._chain.sequencer, self._hub, _hex(body["tx"], "tx"), wait == "commit")
        return json_answer(_sent_object(sent))

    async def _transaction(self, request: web.Request) -> web.Response:
        digest = _hash(request)
        mempool = self._chain.sequencer.mempool
        if mempool.get(digest) is not None:
            return json_answer({"hash": digest.hex(), "status": "waiting"})
        found = await on_engine(request, self._chain.ledger.transaction, digest)
        if found is not None:
            return json_answer(kept_object(digest, found, tx=True))
        if (why := mempool.why_dropped(digest)) is not None:
            return json_answer({"hash": digest.hex(), "status": "dropped", "why": why})
        raise VersionMissing(f"no kept block has a transaction with the hash {digest.hex()}, and it does not wait for one")

    async def _receipt(self, request: web.Request) -> web.Response:
        digest = _hash(request)
        found = await on_engine(request, self._chain.ledger.transaction, digest)
        if found is None:
            raise VersionMissing(f"no kept block has a transaction with the hash {digest.hex()}")
        return json_answer(kept_object(digest, found))

    async def _simulate(self, request: web.Request) -> web.Response:
        body = _object(await json_body(request), ("txs",), ("txs",))
        if not isinstance(body["txs"], list):
            raise InputError("the body: txs must be a list")
        txs = [_hex(tx, f"txs: {index}") for index, tx in enumerate(body["txs"])]
        result = await on_engine(request, self._chain.sequencer.simulate, txs)
        return json_answer({
            "height": written(result.height), "receipts": [receipt_object(receipt) for receipt in result.receipts],
            "state_root": result.state_root.hex(),
        })

    async def _state(self, request: web.Request) -> web.Response:
        key, prove = _hex(request.match_info["key"], "the key"), request.query.get("prove", "0") in ("1", "true")
        height = _number(request.query, "height", 0)
        return json_answer(await on_engine(request, self._value, key, height, prove))

    def _value(self, key: bytes, height: int, prove: bool) -> dict[str, Any]:
        """The newest state with its proof too: the app hash after a block is in the answer, for no header has it yet."""
        chain, machine = self._chain, self._chain.machine
        with machine.pinned():
            past = machine.at_height(height or machine.info.height)
            found: dict[str, Any] = {
                "key": key.hex(), "value": None if (value := past.get(key)) is None else value.hex(), "height": written(past.height),
                "app_hash": chain.ledger.app_hash(past.info).hex(), "tree": past.info.tree,
            }
            if prove:
                answer = chain.application.query(QueryRequest(key, queries.KEY, past.height, True))
                if answer.proof_ops is None:
                    raise InputError(answer.log)
                found["proof"] = proof_object(answer.proof_ops)
            return found

    async def _mine(self, request: web.Request) -> web.Response:
        body = _object(await json_body(request), ("blocks",), ())
        blocks = _checked(number, body.get("blocks", 1), "blocks", MINED_MOST)
        return json_answer({"height": written(await on_engine(request, self._producer.mine, blocks))})

    async def _snapshot(self, request: web.Request) -> web.Response:
        _object(await json_body(request), (), ())
        return json_answer({"snapshot": await on_engine(request, self._chain.snapshot)})

    async def _revert(self, request: web.Request) -> web.Response:
        body = _object(await json_body(request), ("snapshot",), ("snapshot",))
        if not isinstance(body["snapshot"], str):
            raise InputError("the body: snapshot must be text")
        return json_answer({"height": written(await on_engine(request, self._chain.revert, body["snapshot"]))})

    async def _waiting(self, request: web.Request) -> web.Response:
        mempool = self._chain.sequencer.mempool
        txs = [{"hash": sha256(tx).hexdigest(), "tx": tx.hex()} for tx in mempool.listed(LISTED_MOST)]
        return json_answer({"txs": txs, "count": len(mempool)})

    async def _accounts(self, request: web.Request) -> web.Response:
        return json_answer({"accounts": [{"public_key": each.public.hex()} for each in self._chain.keys.accounts]})


def _sent_object(sent: Sent) -> dict[str, Any]:
    found = {"hash": sent.hash.hex(), "check": receipt_object(sent.check)}
    if sent.kept is not None:
        found.update(kept_object(sent.hash, sent.kept))
    if sent.why:
        found["error"] = sent.why
    return found


def _object(value: Any, known: tuple[str, ...], required: tuple[str, ...]) -> dict[str, Any]:
    try:
        found = json_object(value, "the body")
        fields(found, known, required)
        return found
    except Malformed as error:
        raise InputError(str(error)) from None


def _checked(read: Any, *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except Malformed as error:
        raise InputError(str(error)) from None


def _hex(value: Any, name: str) -> bytes:
    found: bytes = _checked(hex_bytes, value, name)
    return found


def _hash(request: web.Request) -> bytes:
    found: bytes = _checked(hex_bytes, request.match_info["hash"], "the hash", 32)
    return found


def _from_text(name: str, text: str) -> int:
    found: int = _checked(number, text, name, MAX_INT64)
    return found


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    return _from_text(name, query[name]) if name in query else default
