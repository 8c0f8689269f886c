"""CometBFT's part, as far as an application sees it: what a chain asks of one, block by block, and a connection to its socket."""

from __future__ import annotations

import socket
from hashlib import sha256
from pathlib import Path
from typing import Any

from ioi_exec.node.messages import (
    Block,
    BlockParams,
    ConsensusParams,
    EvidenceParams,
    Failure,
    InitChain,
    LastCommit,
    Moment,
    PublicKey,
    ValidatorParams,
    ValidatorPower,
)
from ioi_exec.node.wire import decode, delimited, encode, varint, varint_at

CHAIN = "test-chain"
VALIDATOR = ValidatorPower(PublicKey(ed25519=b"v" * 32), 10)
PARAMS = ConsensusParams(
    BlockParams(4_194_304, -1), EvidenceParams(100_000, Moment(172_800), 1_048_576), ValidatorParams(("ed25519",))
)
ECHO, FLUSH, INFO, INIT_CHAIN, QUERY, CHECK_TX, COMMIT, PREPARE, PROCESS, FINALIZE = 1, 2, 3, 5, 6, 8, 11, 16, 17, 20


def genesis(**changes: Any) -> InitChain:
    """What CometBFT asks at the beginning."""
    whole = {
        "time": Moment(1_700_000_000), "chain_id": CHAIN, "consensus_params": PARAMS, "validators": (VALIDATOR,), "initial_height": 1,
    }
    return InitChain(**{**whole, **changes})


def block(height: int, *txs: bytes, round: int = 0) -> Block:
    """As it is proposed and decided; of another round it has another hash."""
    told = b"".join([b"%d %d" % (height, round), *(sha256(tx).digest() for tx in txs)])
    return Block(
        txs, LastCommit(round), (), sha256(told).digest(), height, Moment(1_700_000_000 + height), bytes(32), b"p" * 20
    )


class Connection:
    """To an application's socket; messages in, messages out."""

    def __init__(self, address: str) -> None:
        """As `proxy_app` has it."""
        kind, _, where = address.partition("://")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(Path(where)))
        else:
            host, _, port = where.rpartition(":")
            self.socket = socket.create_connection((host.strip("[]"), int(port)))
        self.socket.settimeout(60)
        self._came = b""

    def send(self, number: int, body: bytes = b"") -> None:
        request = delimited(number, body)
        self.socket.sendall(varint(len(request)) + request)

    def read(self) -> tuple[int, bytes] | None:
        """The number of a response and its bytes; None: the connection is closed."""
        while True:
            try:
                size, at = varint_at(self._came, 0)
            except ValueError:
                size, at = 1 << 62, 0
            if at + size <= len(self._came):
                response, self._came = self._came[at : at + size], self._came[at + size :]
                tag, at = varint_at(response, 0)
                size, at = varint_at(response, at)
                assert tag & 7 == 2 and at + size == len(response)
                return tag >> 3, response[at:]
            more = self.socket.recv(1 << 16)
            if not more:
                assert not self._came, "it ended in the middle of an answer"
                return None
            self._came += more

    def ask(self, number: int, message: object, answer: Any) -> Any:
        """What one request comes to, as a message of this class; or a Failure."""
        self.send(number, encode(message))
        self.send(FLUSH)
        got = self.read()
        assert got is not None, "the connection was closed"
        if got[0] == 1:
            return decode(Failure, got[1])
        assert got[0] == number + 1 and self.read() == (FLUSH + 1, b"")
        return decode(answer, got[1])

    def close(self) -> None:
        self.socket.close()
