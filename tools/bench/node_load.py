"""What a node's bench starts and asks: applications behind a socket, and a CometBFT over one."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ioi_exec.node.wire import delimited, varint
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

CHAIN = "bench"
SENDERS = [number.to_bytes(32, "big") for number in range(1, 1001)]
_FLUSH, _CHECK_TX = 2, 8
_PATIENCE = 60.0
BATCH = 100  # transactions of one request
_SETTINGS = {
    "CMT_P2P_LADDR": "tcp://127.0.0.1:0", "CMT_P2P_PEX": "false", "CMT_MEMPOOL_SIZE": "1000000", "CMT_MEMPOOL_CACHE_SIZE": "1000000",
    "CMT_RPC_MAX_REQUEST_BATCH_SIZE": str(BATCH), "CMT_CONSENSUS_TIMEOUT_COMMIT": "100ms", "CMT_TX_INDEX_INDEXER": "null",
    "CMT_LOG_LEVEL": "error",
}


def genesis() -> dict[str, Any]:
    return {"state": {account_key(sender).hex(): encode_account(1 << 60, 0).hex() for sender in SENDERS}}


def transfers(count: int) -> list[bytes]:
    """Of 104 bytes, round the senders, each in the order of its nonces."""
    each = len(SENDERS)
    return [
        encode_transfer(SENDERS[number % each], (1 << 200 | number % each).to_bytes(32, "big"), 1, nonce=number // each)
        for number in range(count)
    ]


@contextmanager
def listening(command: list[str], cwd: Path, where: Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens at a socket before it is given."""
    log_path = cwd / f"{Path(command[0]).name}.log"
    with open(log_path, "ab") as log:
        process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
    try:
        end = time.monotonic() + _PATIENCE
        while not _answers(where):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command} does not listen: {log_path.read_text()[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.kill()  # a node whose application is busy may be deaf to all else, and what it leaves nobody reads
        process.wait()


def _answers(where: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trying:
        return trying.connect_ex(str(where)) == 0


def checks(txs: list[bytes]) -> bytes:
    """A CheckTx for each and a Flush, as a node writes them."""
    requests = [delimited(_CHECK_TX, delimited(1, tx)) for tx in txs] + [delimited(_FLUSH, b"")]
    return b"".join(varint(len(request)) + request for request in requests)


def let_in_seconds(where: Path, requests: bytes, count: int) -> float:
    """How long it takes until all are let in. Raises RuntimeError where one is not."""
    expected = b"\x02\x4a\x00" * count + b"\x02\x1a\x00"
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(where))
        peer.settimeout(_PATIENCE)
        sending = threading.Thread(target=peer.sendall, args=(requests,))
        came = bytearray()
        began = time.perf_counter()
        sending.start()
        while len(came) < len(expected):
            came += peer.recv(1 << 18)
        seconds = time.perf_counter() - began
        sending.join()
    if came != expected:
        raise RuntimeError(f"a transaction was not let in: {bytes(came[:200])!r}")
    return seconds


def node(binary: Path, folder: Path, proxy_app: str) -> Any:
    """As `listening`: a CometBFT of one validator over a new home."""
    home = folder / "comet"
    subprocess.run([binary, "init", "--home", home], check=True, capture_output=True)
    path = home / "config" / "genesis.json"
    said = json.loads(path.read_text())
    said["chain_id"] = CHAIN
    path.write_text(json.dumps(said))
    environment = {**_SETTINGS, "CMT_PROXY_APP": proxy_app, "CMT_RPC_LADDR": f"unix://{folder}/rpc"}
    return listening([str(binary), "start", "--home", str(home)], folder, folder / "rpc", environment)


class _Rpc(http.client.HTTPConnection):
    def __init__(self, where: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._where = where

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(str(self._where))

    def ask(self, body: bytes) -> Any:
        self.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(self.getresponse().read())

    def call(self, method: str, **params: Any) -> Any:
        """None: it is refused."""
        return self.ask(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()).get("result")


def batches(txs: list[bytes]) -> list[bytes]:
    """Requests of broadcast_tx_async."""
    calls = [
        {"jsonrpc": "2.0", "id": index, "method": "broadcast_tx_async", "params": {"tx": base64.b64encode(tx).decode()}}
        for index, tx in enumerate(txs)
    ]
    return [json.dumps(calls[first : first + BATCH]).encode() for first in range(0, len(calls), BATCH)]


def committed_seconds(where: Path, requests: list[bytes], count: int) -> float:
    """How long it takes until so many transactions are in blocks that were executed, from the first request on. Raises RuntimeError where one
    fails, or not all of them come into blocks."""
    rpc, sender = _Rpc(where), _Rpc(where)
    end = time.perf_counter() + _PATIENCE
    while (height := _height(rpc)) < 1:
        if time.perf_counter() > end:
            raise RuntimeError("no block is made")
        time.sleep(0.05)
    sending = threading.Thread(target=lambda: [sender.ask(request) for request in requests])
    began = time.perf_counter()
    sending.start()
    done = 0
    while done < count:
        executed = rpc.call("block_results", height=str(height + 1))
        if executed is None and _height(rpc) <= height + 1:  # not committed yet; what answers nothing to an empty block has no results of it
            time.sleep(0.005)
            if time.perf_counter() > end:
                raise RuntimeError(f"{done} of {count} transactions are in blocks after {_PATIENCE:.0f} s")
            continue
        height += 1
        if executed is not None and any(result["code"] for result in executed["txs_results"] or ()):
            raise RuntimeError(f"a transaction of block {height} failed")
        (meta,) = rpc.call("blockchain", minHeight=str(height), maxHeight=str(height))["block_metas"]
        done += int(meta["num_txs"])
    seconds = time.perf_counter() - began
    sending.join()
    return seconds


def _height(rpc: _Rpc) -> int:
    return int(rpc.call("status")["sync_info"]["latest_block_height"])


def init_home(folder: Path) -> None:
    (folder / "genesis.json").write_text(json.dumps(genesis()))
    subprocess.run(
        [sys.executable, "-m", "ioi_exec", "node", "init", "home", "--chain-id", CHAIN, "--vm", "payments", "--genesis", "genesis.json"],
        cwd=folder, check=True, capture_output=True,
    )
