"""Real CometBFT nodes: one over a home of its own with its application beside it, without ports; or those of a devnet."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Union

from ioi_exec import BlockHeader, ExecutionMachine
from ioi_exec.node.app_hash import app_hash
from ioi_exec.node.records import Records

PATIENCE = 300.0  # seconds for anything to come about, on a machine that is busy

_SETTINGS = {
    "timeout_commit": '"50ms"',
    "pex": "false",
    "recheck_timeout": '"10s"',
}


Where = Union[Path, str]  # of a JSON-RPC: a socket's file, or http://HOST:PORT


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def rpc_of(where: Where, method: str, /, **params: Any) -> Any:
    """A call of the JSON-RPC that listens there. Raises OSError where none does, KeyError for what it refuses."""
    connection = _Unix(where) if isinstance(where, Path) else http.client.HTTPConnection(where.removeprefix("http://"), timeout=60)
    try:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if "error" in answer:
        raise KeyError(answer["error"])
    return answer["result"]


class Rpc:
    """A node that answers somewhere."""

    def __init__(self, where: Where) -> None:
        self.where = where

    @property
    def log(self) -> str:
        return ""

    def ask(self, method: str, /, **params: Any) -> Any:
        """As `rpc_of`."""
        return rpc_of(self.where, method, **params)

    def send(self, tx: bytes, how: str = "sync") -> Any:
        return self.ask(f"broadcast_tx_{how}", tx=base64.b64encode(tx).decode())

    @property
    def height(self) -> int:
        """0 while it does not answer."""
        try:
            return int(self.ask("status")["sync_info"]["latest_block_height"])
        except (OSError, http.client.HTTPException):
            return 0

    def reach(self, height: int) -> None:
        """Wait until its newest block has at least this height."""
        until(lambda: self.height >= height, lambda: self.log[-4000:])

    def block(self, height: int) -> tuple[dict[str, Any], list[bytes]]:
        """The header and the transactions."""
        found = self.ask("block", height=str(height))["block"]
        return found["header"], [base64.b64decode(tx) for tx in found["data"]["txs"] or ()]


class Node(Rpc):
    """home: of CometBFT, made here where there is none."""

    def __init__(self, binary: Path, home: Path, **settings: str) -> None:
        self._binary = binary
        self.home = home
        self._socket = home / "rpc"
        super().__init__(self._socket)
        self._process: subprocess.Popen[bytes] | None = None
        if not home.exists():
            self.run("init")
            config = home / "config" / "config.toml"
            text = config.read_text()
            for name, value in {**_SETTINGS, **settings}.items():
                text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
                assert count, name
            text = text.replace('"tcp://127.0.0.1:26657"', f'"unix://{self._socket}"').replace('"tcp://0.0.0.0:26656"', '"tcp://127.0.0.1:0"')
            config.write_text(text)

    def run(self, *arguments: str) -> str:
        """A command of the node that ends by itself."""
        done = subprocess.run(
            [self._binary, *arguments, "--home", self.home], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def genesis(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "config" / "genesis.json").read_text())
        return found

    def start(self, proxy_app: str) -> None:
        self._socket.unlink(missing_ok=True)
        with open(self.home / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "start", "--home", self.home, "--proxy_app", proxy_app], stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def kill(self) -> None:
        """As a supervisor has to, once the application is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


class Daemon:
    """`ioi-exec serve` in a directory, or what a script makes of it."""

    def __init__(self, folder: Path, *before: str, home: str = "home", **environment: str) -> None:
        """before: in the place of `-m ioi_exec`."""
        self._errors = open(folder / f"{home}.log", "a+")
        self._errors.seek(0, os.SEEK_END)
        self._begin = self._errors.tell()
        self.process = subprocess.Popen(
            [sys.executable, *(before or ("-m", "ioi_exec")), "serve", home, "--json"], cwd=folder, text=True,
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=self._errors,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.said()
        self.proxy_app = re.sub("^unix://", f"unix://{folder}/", json.loads(line)["proxy_app"])

    def said(self) -> list[dict[str, Any]]:
        self._errors.flush()
        self._errors.seek(self._begin)
        return [json.loads(line) if line.startswith("{") else {"message": line} for line in self._errors.read().splitlines()]

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def close(self) -> None:
        """Twice is no error."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


def check_headers(node: Rpc, home: Path, vm: Any, genesis: dict[str, Any], chain_id: str) -> None:
    """Every header has the app hash that executing the blocks before it one by one in another machine gives.

    home: of an application. genesis: the file that it was made from."""
    records = Records(home / "consensus.db")
    pairs = {bytes.fromhex(key): bytes.fromhex(value) for key, value in genesis["state"].items()}
    newest = node.height
    with ExecutionMachine.create(None, vm, genesis=pairs, chain_id=chain_id, workers=0) as oracle:
        for height in range(1, newest + 1):
            header, txs = node.block(height)
            consensus = records.at(height - 1)
            assert consensus is not None
            assert header["app_hash"] == app_hash(oracle.root, consensus.encode()).hex().upper(), height
            result = oracle.execute(txs, BlockHeader(height, 0, bytes.fromhex(header["proposer_address"])))
            oracle.commit(result)
            if height < newest:
                assert node.block(height + 1)[0]["last_results_hash"] == result.receipts_root.hex().upper()
    records.close()


def until(holds: Callable[[], bool], said: Callable[[], object] = lambda: "") -> None:
    """Look until it holds, as long as PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, said()
        time.sleep(0.02)
