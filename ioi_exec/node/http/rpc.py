"""CometBFT's RPC, so far as a chain without peers and signatures has something to answer: POST / with JSON-RPC 2.0, one or a list, and GET /NAME with
parameters in the URI."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Awaitable, Callable, Mapping, NamedTuple

from aiohttp import web

from ioi_exec._version import __version__
from ioi_exec.block.receipt import DONE
from ioi_exec.errors import Error, InputError
from ioi_exec.files.strict_json import Malformed, parse
from ioi_exec.node.block_header import BLOCK_PROTOCOL
from ioi_exec.node.dev_chain import DevChain
from ioi_exec.node.dev_keys import POWER
from ioi_exec.node.http.feed import Hub
from ioi_exec.node.http.rpc_params import BYTES, FLAG, HEX, NUMBER, TEXT, Kind, given, given_in_uri
from ioi_exec.node.http.rpc_shown import (
    base64_of,
    block_object,
    event_objects,
    header_object,
    hex_of,
    key_object,
    params_object,
    query_object,
    result_object,
    time_text,
    validator_objects,
)
from ioi_exec.node.http.sending import send
from ioi_exec.node.http.server import SAFE, json_answer, on_engine, read_body
from ioi_exec.node.messages import ConsensusParams, PublicKey, QueryRequest

BATCH_MOST = 100
BATCH_BYTES = 32 << 20
"""Of the answers to a batch: what comes after so many is refused."""
_PARSE, _INVALID, _NO_METHOD, _PARAMS, _INTERNAL = -32700, -32600, -32601, -32602, -32603
_SAID = {
    _PARSE: "Parse error. Invalid JSON", _INVALID: "Invalid Request", _NO_METHOD: "Method not found", _PARAMS: "Invalid params",
    _INTERNAL: "Internal error",
}
_STATUS = {_PARSE: 400, _INVALID: 400, _NO_METHOD: 404, _PARAMS: 400, _INTERNAL: 500}
_PAGE = 30

Answered = Callable[..., Awaitable[Any]]


class Method(NamedTuple):
    answer: Answered
    params: Mapping[str, Kind]


class Failed(Exception):
    """What a call comes to instead of a result."""

    def __init__(self, code: int, data: str) -> None:
        super().__init__(data)
        self.object = {"code": code, "message": _SAID[code], "data": data}
        self.status = _STATUS[code]


class Rpc:
    def __init__(self, chain: DevChain, hub: Hub) -> None:
        self._chain = chain
        self._hub = hub
        height: Mapping[str, Kind] = {"height": NUMBER}
        self._methods = {
            "health": Method(self._health, {}),
            "status": Method(self._status, {}),
            "abci_info": Method(self._abci_info, {}),
            "abci_query": Method(self._abci_query, {"path": TEXT, "data": HEX, "height": NUMBER, "prove": FLAG}),
            "block": Method(self._block, height),
            "block_by_hash": Method(self._block_by_hash, {"hash": BYTES}),
            "block_results": Method(self._block_results, height),
            "header": Method(self._header, height),
            "validators": Method(self._validators, {"height": NUMBER, "page": NUMBER, "per_page": NUMBER}),
            "consensus_params": Method(self._consensus_params, height),
            "tx": Method(self._tx, {"hash": BYTES, "prove": FLAG}),
            "broadcast_tx_async": Method(self._broadcast_async, {"tx": BYTES}),
            "broadcast_tx_sync": Method(self._broadcast_sync, {"tx": BYTES}),
            "broadcast_tx_commit": Method(self._broadcast_commit, {"tx": BYTES}),
            "unconfirmed_txs": Method(self._unconfirmed, {"limit": NUMBER}),
            "num_unconfirmed_txs": Method(self._count_unconfirmed, {}),
        }

    def register(self, app: web.Application) -> None:
        app.router.add_post("/", self._posted)
        for name in self._methods:
            app.router.add_get(f"/{name}", self._asked)

    async def _asked(self, request: web.Request) -> web.Response:
        try:
            method = self._methods[request.path.strip("/")]
            return _answer({"id": -1, "result": await self._called(request, method, given_in_uri, request.query)})
        except Failed as failed:
            return _answer({"id": -1, "error": failed.object}, failed.status)

    async def _posted(self, request: web.Request) -> web.Response:
        try:
            asked = parse(await read_body(request), floats=True)
        except Malformed as error:
            failed = Failed(_PARSE, str(error))
            return _answer({"id": None, "error": failed.object}, failed.status)
        if not isinstance(asked, list):
            answer, status = await self._one(request, asked)
            return web.Response(status=204) if answer is None else _answer(answer, status)
        if not 0 < len(asked) <= BATCH_MOST:
            failed = Failed(_INVALID, f"a batch has 1 to {BATCH_MOST} requests, and this has {len(asked)}")
            return _answer({"id": None, "error": failed.object}, failed.status)
        answers: list[str] = []
        size = 0
        for each in asked:
            if size > BATCH_BYTES:
                id = each.get("id") if isinstance(each, dict) else None
                failed = Failed(_INTERNAL, f"the answers before this one have more than {BATCH_BYTES} bytes: ask again")
                answers.append(json.dumps({"jsonrpc": "2.0", "id": id if isinstance(id, (str, int)) else None, "error": failed.object}))
                continue
            answer, _ = await self._one(request, each)
            if answer is None:
                continue
            answers.append(json.dumps({"jsonrpc": "2.0", **answer}))
            size += len(answers[-1])
        return web.Response(text=f"[{', '.join(answers)}]\n", content_type="application/json", headers=SAFE)

    async def _one(self, request: web.Request, asked: Any) -> tuple[dict[str, Any] | None, int]:
        """The answer and its HTTP status; None: none is wanted."""
        id = asked.get("id") if isinstance(asked, dict) else None
        try:
            if not isinstance(asked, dict) or not isinstance(asked.get("method"), str) or isinstance(id, (dict, list, bool)):
                id = None
                raise Failed(_INVALID, "a request is an object with jsonrpc, id, method and params")
            if "id" not in asked:
                return None, 204  # a notification, which CometBFT does not follow either
            method = self._methods.get(asked["method"])
            if method is None:
                raise Failed(_NO_METHOD, f"there is no method {asked['method'][:100]!r} here: there are {', '.join(self._methods)}")
            return {"id": id, "result": await self._called(request, method, given, asked.get("params"))}, 200
        except Failed as failed:
            return {"id": id, "error": failed.object}, 200 if failed.status == 500 else failed.status

    async def _called(self, request: web.Request, method: Method, read: Callable[..., list[Any]], params: Any) -> Any:
        try:
            arguments = read(method.params, params)
        except InputError as error:
            raise Failed(_PARAMS, str(error)) from None
        try:
            return await method.answer(request, *arguments)
        except web.HTTPException as error:
            raise Failed(_INTERNAL, error.text or error.reason) from None
        except Error as error:
            raise Failed(_INTERNAL, str(error)) from None

    async def _health(self, request: web.Request) -> dict[str, Any]:
        return {}

    async def _status(self, request: web.Request) -> dict[str, Any]:
        return await on_engine(request, self._described, f"tcp://{request.host}")

    def _described(self, address: str) -> dict[str, Any]:
        chain, ledger, machine = self._chain, self._chain.ledger, self._chain.machine
        with machine.pinned():
            info = machine.info
            first = machine.at_height(min(ledger.oldest, info.height)).info
            own, app = hex_of(chain.sequencer.proposer), str(ledger.consensus(info.height).app_version)
            latest, earliest = (
                {
                    f"{name}_block_hash": hex_of(of.header.block_id) if of.header is not None else "",
                    f"{name}_app_hash": hex_of(ledger.app_hash(of)),
                    f"{name}_block_height": str(of.height if of.version else 0),
                    f"{name}_block_time": time_text(of.header.time_ns if of.header is not None else 0),
                }
                for name, of in (("latest", info), ("earliest", first))
            )
            return {
                "node_info": {
                    "protocol_version": {"p2p": "0", "block": str(BLOCK_PROTOCOL), "app": app}, "id": own.lower(), "listen_addr": "",
                    "network": info.chain_id, "version": f"ioi-exec {__version__}", "channels": "", "moniker": "dev",
                    "other": {"tx_index": "on", "rpc_address": address},
                },
                "sync_info": {**latest, **earliest, "catching_up": False},
                "validator_info": {
                    "address": own, "pub_key": key_object(PublicKey(ed25519=chain.keys.validator.public)), "voting_power": str(POWER),
                },
            }

    async def _abci_info(self, request: web.Request) -> dict[str, Any]:
        info = await on_engine(request, self._chain.application.info)
        found: dict[str, Any] = {"data": info.data, "version": info.version}
        if info.app_version:
            found["app_version"] = str(info.app_version)
        if info.last_block_height:
            found.update(last_block_height=str(info.last_block_height), last_block_app_hash=base64_of(info.last_block_app_hash))
        return {"response": found}

    async def _abci_query(self, request: web.Request, path: str, data: bytes, height: int, prove: bool) -> dict[str, Any]:
        asked = QueryRequest(data, path, height, prove)
        return {"response": query_object(await on_engine(request, self._chain.application.query, asked))}

    async def _block(self, request: web.Request, height: int) -> dict[str, Any]:
        return block_object(await on_engine(request, self._chain.ledger.block, height or None))

    async def _block_by_hash(self, request: web.Request, hash: bytes) -> dict[str, Any]:
        found = await on_engine(request, self._chain.ledger.by_hash, hash)
        return block_object(found) if found is not None else {"block_id": {"hash": "", "parts": {"total": 0, "hash": ""}}, "block": None}

    async def _header(self, request: web.Request, height: int) -> dict[str, Any]:
        return {"header": header_object((await on_engine(request, self._chain.ledger.block, height or None)).header)}

    async def _block_results(self, request: web.Request, height: int) -> dict[str, Any]:
        block = await on_engine(request, self._chain.ledger.block, height or None)
        results = [result_object(receipt) for receipt in block.receipts]
        events = event_objects(self._chain.sequencer.events(block.info.height))
        return {
            "height": str(block.info.height), "txs_results": results or None, "finalize_block_events": events or None, "validator_updates": None,
            "consensus_param_updates": params_object(self._chain.ledger.consensus(block.info.height).params or ConsensusParams()),
            "app_hash": base64_of(block.app_hash),
        }

    async def _validators(self, request: web.Request, height: int, page: int, per_page: int) -> dict[str, Any]:
        height = height or await on_engine(request, lambda: self._chain.ledger.height)
        found = validator_objects(await on_engine(request, self._chain.ledger.validators, height))
        size = min(per_page or _PAGE, 100)
        shown = found[max(page - 1, 0) * size :][:size]
        return {"block_height": str(height), "validators": shown, "count": str(len(shown)), "total": str(len(found))}

    async def _consensus_params(self, request: web.Request, height: int) -> dict[str, Any]:
        height = height or await on_engine(request, lambda: self._chain.ledger.height)
        found = await on_engine(request, self._chain.ledger.consensus, height - 1)
        return {"block_height": str(height), "consensus_params": params_object(found.params or ConsensusParams())}

    async def _tx(self, request: web.Request, hash: bytes, prove: bool) -> dict[str, Any]:
        if prove:
            raise Failed(_PARAMS, "there is no proof of a transaction here")
        found = await on_engine(request, self._chain.ledger.transaction, hash)
        if found is None:
            raise Failed(_INTERNAL, f"tx ({hex_of(hash)}) not found")
        return {
            "hash": hex_of(hash), "height": str(found.height), "index": found.index, "tx_result": result_object(found.receipt),
            "tx": base64_of(found.tx),
        }

    async def _broadcast_async(self, request: web.Request, tx: bytes) -> dict[str, Any]:
        await on_engine(request, self._chain.sequencer.submit, tx)
        return {"code": 0, "data": "", "log": "", "codespace": "", "hash": hex_of(sha256(tx).digest())}

    async def _broadcast_sync(self, request: web.Request, tx: bytes) -> dict[str, Any]:
        sent = await send(request, self._chain.sequencer, self._hub, tx, False)
        found = result_object(sent.check)
        return {
            "code": found["code"], "data": hex_of(sent.check.output), "log": found["log"], "codespace": found["codespace"],
            "hash": hex_of(sent.hash),
        }

    async def _broadcast_commit(self, request: web.Request, tx: bytes) -> dict[str, Any]:
        sent = await send(request, self._chain.sequencer, self._hub, tx, True)
        if sent.check.ok and sent.kept is None:
            raise Failed(_INTERNAL, sent.why)
        kept = sent.kept
        return {
            "check_tx": result_object(sent.check), "tx_result": result_object(DONE if kept is None else kept.receipt), "hash": hex_of(sent.hash),
            "height": str(0 if kept is None else kept.height),
        }

    async def _unconfirmed(self, request: web.Request, limit: int) -> dict[str, Any]:
        shown = self._chain.sequencer.mempool.listed(min(limit or _PAGE, 100))
        return {**self._counted(len(shown)), "txs": [base64_of(tx) for tx in shown]}

    async def _count_unconfirmed(self, request: web.Request) -> dict[str, Any]:
        return {**self._counted(len(self._chain.sequencer.mempool)), "txs": None}

    def _counted(self, shown: int) -> dict[str, str]:
        mempool = self._chain.sequencer.mempool
        return {"n_txs": str(shown), "total": str(len(mempool)), "total_bytes": str(mempool.size)}


def _answer(answer: dict[str, Any], status: int = 200) -> web.Response:
    return json_answer({"jsonrpc": "2.0", **answer}, status)
