"""A client of a chain, by CometBFT's JSON-RPC: the same of a node whose application is `ioi-exec serve`, and of `ioi-exec dev`.

    client = Client("http://127.0.0.1:26657")
    done = client.send(seal(secret, client.chain_id, b"payload"))   # waits until it is in a block
    done.height, done.outcome.ok, done.outcome.output
"""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

from ioi_exec.errors import Error, InputError
from ioi_exec.node.app_hash import verify_key
from ioi_exec.node.messages import ProofOp, ProofOps, TxResult
from ioi_exec.node.queries import ABSENT, KEY, SIMULATE
from ioi_exec.node.wire import Malformed, decode

URL = "http://127.0.0.1:26657"
SECONDS = 60.0
ANSWER_BYTES = 256 << 20
_LOOK = 0.1  # seconds between two looks for a transaction


class NodeError(Error):
    """The node cannot be asked, or does not answer what it was asked."""


class Rejected(Error):
    """CheckTx did not let the transaction in. outcome: what it said."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"the transaction was not let in: code {outcome.code}, {outcome.error or 'no reason'}")
        self.outcome = outcome


class NotInABlock(Error):
    """It was let in, and came into no block in time."""


@dataclass(frozen=True)
class Outcome:
    """What a transaction came to, as CometBFT tells it. events: (name, ((attribute, value as text), ...))."""

    code: int
    output: bytes
    error: str
    gas_wanted: int
    gas_used: int
    events: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Included:
    """A transaction in a block."""

    hash: bytes
    height: int
    index: int
    outcome: Outcome


class Client:
    """For one thread at a time; each call is a connection."""

    def __init__(self, url: str = URL, seconds: float = SECONDS) -> None:
        """seconds: that an answer may take. Raises InputError."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or parts.query:
            raise InputError(f"the node's address is {url!r}: give http://HOST:PORT")
        if "@" in parts.netloc:  # and not shown
            raise InputError("the node's address has a user or a password, and none is sent to it: give http://HOST:PORT")
        self.url = url
        self._path = parts.path or "/"
        self._of = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._place = host, port
        self._seconds = seconds
        self._chain_id: str | None = None

    def call(self, method: str, **params: Any) -> Any:
        """The result of a method of CometBFT's RPC. Raises NodeError."""
        asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = self._of(*self._place, timeout=self._seconds)
        try:
            connection.request("POST", self._path, asked, {"Content-Type": "application/json"})
            body = connection.getresponse().read(ANSWER_BYTES + 1)
            if len(body) > ANSWER_BYTES:
                raise NodeError(f"{self.url} answers {method} with more than {ANSWER_BYTES} bytes")
            answer = json.loads(body)
            if isinstance(answer, dict) and "error" in answer:
                error = answer["error"]
                said = error.get("data") or error.get("message") if isinstance(error, dict) else error
                raise NodeError(f"{self.url} refuses {method}: {said}")
            return answer["result"]
        except (OSError, http.client.HTTPException) as error:
            raise NodeError(f"{self.url} cannot be asked: {error or type(error).__name__}") from error
        except (ValueError, LookupError, TypeError, RecursionError):
            raise NodeError(f"{self.url} answers {method} with what is no JSON-RPC: is it a node's?") from None
        finally:
            connection.close()

    @property
    def chain_id(self) -> str:
        """What transactions are signed for."""
        if self._chain_id is None:
            self._chain_id = str(self._read(lambda: self.call("status")["node_info"]["network"]))
        return self._chain_id

    @property
    def height(self) -> int:
        """Of the newest block; 0: there is none."""
        found: int = self._read(lambda: int(self.call("status")["sync_info"]["latest_block_height"]))
        return found

    def submit(self, tx: bytes) -> bytes:
        """Hand it in; returns its hash once CheckTx has let it in. Raises Rejected, NodeError."""
        answer = self.call("broadcast_tx_sync", tx=_base64(tx))
        code = self._read(lambda: int(answer["code"]))
        if code:
            raise Rejected(Outcome(code, b"", str(answer.get("log", "")), 0, 0, ()))
        return sha256(tx).digest()

    def send(self, tx: bytes, seconds: float = SECONDS) -> Included:
        """Hand it in, and wait until it is in a block that comes after now. Raises Rejected, NotInABlock, NodeError."""
        before = self.height
        return self.wait(self.submit(tx), seconds, after=before)

    def wait(self, hash: bytes, seconds: float = SECONDS, *, after: int = 0) -> Included:
        """Until a block above `after` has the transaction with this SHA-256. Raises NotInABlock, NodeError."""
        until = monotonic() + seconds
        while True:
            found = self.transaction(hash)
            if found is not None and found.height > after:
                return found
            if monotonic() >= until:
                raise NotInABlock(f"within {seconds:g} s no block has the transaction {hash.hex()}: it may still come")
            sleep(_LOOK)

    def transaction(self, hash: bytes) -> Included | None:
        """None: no block has it, so far as the node knows."""
        try:
            found = self.call("tx", hash=_base64(hash))
        except NodeError as error:
            if "not found" in str(error):
                return None
            raise
        included: Included = self._read(lambda: Included(hash, int(found["height"]), int(found["index"]), _outcome(found["tx_result"])))
        return included

    def simulate(self, tx: bytes) -> Outcome:
        """What it would come to on the newest state; nothing of it is kept. Raises NodeError where the node does not simulate."""
        answer = self._queried(SIMULATE, tx, 0, False)
        try:
            result = decode(TxResult, base64.b64decode(answer.get("value") or ""))
        except (Malformed, ValueError, TypeError):
            raise NodeError(f"{self.url} answers {SIMULATE} with what is no result") from None
        events = tuple((each.type, tuple((one.key, one.value) for one in each.attributes)) for each in result.events)
        return Outcome(result.code, result.data, result.log, result.gas_wanted, result.gas_used, events)

    def query(self, path: str, data: bytes = b"") -> bytes:
        """What the VM's `query` answers. Raises NodeError with what it said where it does not."""
        answer = self._queried(path, data, 0, False)
        found: bytes = self._read(lambda: base64.b64decode(answer.get("value") or ""))
        return found

    def get(self, key: bytes, height: int = 0) -> bytes | None:
        """The value of a key as the node says, 0: in the newest state; None: it is absent."""
        found: bytes | None = self._read(lambda: _value(self._queried(KEY, key, height, False)))
        return found

    def prove(self, key: bytes, height: int, app_hash: bytes, tree: str = "jellyfish") -> bytes | None:
        """The same of a height, proven to the app hash after it: the one in a header of `height` + 1 that the caller believes. Raises
        InvalidProof."""
        answer = self._queried(KEY, key, height, True)
        value: bytes | None = self._read(lambda: _value(answer))
        ops = self._read(lambda: tuple(
            ProofOp(op["type"], base64.b64decode(op["key"]), base64.b64decode(op["data"])) for op in answer["proofOps"]["ops"]
        ))
        verify_key(app_hash, tree, key, value, ProofOps(ops))
        return value

    def _queried(self, path: str, data: bytes, height: int, prove: bool) -> dict[str, Any]:
        answer = self._read(lambda: self.call("abci_query", path=path, data=data.hex(), height=str(height), prove=prove)["response"])
        if not isinstance(answer, dict):
            raise NodeError(f"{self.url} answers {path} with what is no answer: is it a node's?")
        if answer.get("code"):
            raise NodeError(f"{self.url} does not answer {path}: {answer.get('log')}")
        return answer

    def _read(self, part: Any) -> Any:
        try:
            return part()
        except (LookupError, TypeError, ValueError, AttributeError):
            raise NodeError(f"{self.url} answers what cannot be read: is it a node's?") from None


def _value(answer: dict[str, Any]) -> bytes | None:
    return None if answer.get("log") == ABSENT else base64.b64decode(answer.get("value") or "")


def _outcome(result: dict[str, Any]) -> Outcome:
    events = tuple(
        (str(each["type"]), tuple((str(one["key"]), str(one["value"])) for one in each.get("attributes") or ())) for each in result.get("events") or ()
    )
    return Outcome(
        int(result.get("code") or 0), base64.b64decode(result.get("data") or ""), str(result.get("log") or ""),
        int(result.get("gas_wanted") or 0), int(result.get("gas_used") or 0), events,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
