"""A stand-in for a node of Ethereum on a port of this machine: it answers JSON-RPC of one made block and of the state before it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from evm_blocks import PARENT, Made, as_file
from traced_blocks import Traced

from ioi_exec.vm.ethereum.keys import Account

Answer = Callable[[list[Any]], Any]


class Refused(Exception):
    """code and message of an error of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StandIn:
    """Its answers, by method: change them for a fault. raw(request, body, path) may return (status, headers, bytes) in place of all. file: what
    there is of the block, if it is no made one."""

    def __init__(self, made: Made, traced: Traced, file: dict[str, Any] | None = None) -> None:
        self.made = made
        self.file = as_file(made, traced.judged) if file is None else file
        self.number = int(made.parts["number"])
        self.asked: list[str] = []
        self.batches = True
        self.raw: Callable[[int, bytes, str], tuple[int, dict[str, str], bytes] | None] = lambda request, body, path: None
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Answer] = {
            "eth_chainId": lambda _: "0x1",
            "eth_blockNumber": lambda _: hex(self.number),
            "eth_getBlockByNumber": self._block,
            "eth_getBlockReceipts": lambda _: self.receipts(),
            "eth_getTransactionReceipt": lambda p: next(
                receipt for one, receipt in zip(made.transactions, self.receipts()) if one["hash"] == p[0]
            ),
            "eth_getBalance": lambda p: hex(self._account(p).balance),
            "eth_getTransactionCount": lambda p: hex(self._account(p).nonce),
            "eth_getCode": lambda p: "0x" + self._account(p).code.hex(),
            "eth_getStorageAt": lambda p: "0x" + self._account(p, 2).storage.get(bytes.fromhex(p[1][2:]), 0).to_bytes(32, "big").hex(),
            "eth_getProof": self._proof,
            "eth_getUncleByBlockNumberAndIndex": lambda p: self.file["uncles"][int(p[1], 16)],
            "debug_traceBlockByNumber": lambda p: [
                {"txHash": one["hash"], "result": result}
                for one, result in zip(made.transactions, traced.diffs if p[1]["tracerConfig"].get("diffMode") else traced.traces)
            ],
        }
        self._traced = traced

    def receipts(self) -> list[dict[str, Any]]:
        found = []
        for one in self._traced.judged.receipts(self.made.fork):
            logs = [
                {"address": "0x" + log.address.hex(), "topics": ["0x" + topic.hex() for topic in log.topics], "data": "0x" + log.data.hex(), "logIndex": "0x0"}
                for log in one.logs
            ]
            status = {"status": hex(int(one.succeeded))} if hasattr(one, "succeeded") else {"root": "0x" + "00" * 32}
            found.append({**status, "cumulativeGasUsed": hex(int(one.cumulative_gas_used)), "logs": logs, "type": "0x0"})
        return found

    def _block(self, params: list[Any]) -> Any:
        number = int(params[0], 16)
        if number == self.number:
            assert params[1] is True
            uncles = ["0x" + "00" * 32] * len(self.file.get("uncles", ()))
            return {"size": "0x1", "totalDifficulty": "0x1", **self.file["block"], "uncles": uncles}
        hashes = {self.number - 1: PARENT, **self.made.hashes}
        return {"number": hex(number), "hash": "0x" + hashes.get(number, bytes(32)).hex(), "transactions": []} if number < self.number else None

    def _account(self, params: list[Any], at: int = 1) -> Account:
        assert int(params[at], 16) == self.number - 1, "the state after the block is none that a file is of"
        return self.made.prestate.get(bytes.fromhex(params[0][2:]), Account())

    def _proof(self, params: list[Any]) -> Any:
        address = bytes.fromhex(params[0][2:])
        path = (keccak256(address) if address in self.made.prestate else keccak256(b"somebody else")).hex()
        leaf = rlp.encode([bytes.fromhex("3" + path[1:]), b"an account"])
        return {"accountProof": ["0x" + rlp.encode([b""] * 17).hex(), "0x" + leaf.hex()], "codeHash": "0x" + "00" * 32, "storageProof": []}

    def answer(self, said: Any) -> Any:
        if isinstance(said, list):
            return [self.answer(one) for one in said] if self.batches else {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batches"}}
        self.asked.append(said["method"])
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": said["id"]}
        try:
            if said["method"] not in self.answers:
                raise Refused(-32601, f"the method {said['method']} does not exist/is not available")
            return {**answer, "result": self.answers[said["method"]](said["params"])}
        except Refused as error:
            return {**answer, "error": {"code": error.code, "message": str(error)}}

    def __enter__(self) -> StandIn:
        stand_in, lock = self, threading.Lock()
        counted = iter(range(1 << 30))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    stand_in.headers.append(dict(self.headers))
                    instead = stand_in.raw(next(counted), body, self.path)
                    status, headers, data = instead or (200, {}, json.dumps(stand_in.answer(json.loads(body))).encode())
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                if "Content-Length" in headers:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # who asked went away

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
