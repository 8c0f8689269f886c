"""An application that lets in everything and executes nothing, behind the node's own socket and codec: python -m tools.bench.node_nothing SOCKET."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from ioi_exec.node.messages import Block, ChainBegun, Committed, Info, Proposal, Proposed, Verdict
from ioi_exec.node.server import Server
from ioi_exec.node.wire import decode, delimited, encode

_INFO, _INIT_CHAIN, _CHECK_TX, _COMMIT, _PREPARE, _PROCESS, _FINALIZE = 3, 5, 8, 11, 16, 17, 20
_DONE = b"\x12\0"  # a tx_result of FinalizeBlock that is all defaults
_MESSAGE_BYTES = 128 << 20


class Nothing:
    """In the place of `ioi_exec.node.abci.Abci`."""

    def __init__(self) -> None:
        self._height = 0
        self._fixed = {_CHECK_TX: b"", _PROCESS: encode(Verdict(1)), _INIT_CHAIN: encode(ChainBegun()), _COMMIT: encode(Committed())}

    def answer(self, number: int, body: bytes) -> bytes:
        return delimited(number + 1, self._answered(number, body))

    def _answered(self, number: int, body: bytes) -> bytes:
        if number == _INFO:
            return encode(Info("nothing", "0", 0, self._height, bytes(32) if self._height else b""))
        if number == _PREPARE:
            return encode(Proposed(decode(Proposal, body).txs))
        if number == _FINALIZE:
            block = decode(Block, body)
            self._height = block.height
            return _DONE * len(block.txs) + delimited(5, bytes(32))
        return self._fixed.get(number, b"")


def main() -> None:
    nothing: Any = Nothing()
    server = Server(nothing, Path(sys.argv[1]), _MESSAGE_BYTES)
    signal.signal(signal.SIGTERM, lambda number, frame: server.stop())
    server.serve()
    server.close()


if __name__ == "__main__":
    main()
