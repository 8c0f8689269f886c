"""VMs that the tests of the node execute."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from ioi_exec import EndBlock, Revert, ValidatorUpdate


class Words:
    """Transactions are "key=value"; "fail" fails, "refused" and "fault" cannot be in a block; "power HEX N" and "set NAME N" are for the consensus."""

    def ante(self, tx: bytes, state: Any, ctx: Any) -> None:
        if tx == b"refused":
            raise Revert("not in a block", code=6)

    def check(self, tx: bytes, state: Any, ctx: Any) -> None:
        if tx == b"bad":
            raise Revert("a bad word", code=7)
        seen = b"seen " + sha256(tx).digest()
        if state.get(seen) is not None:
            raise Revert("it waits already", code=8)
        state.put(seen, b"1")

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        if tx == b"fail":
            raise Revert("as it was told", code=9)
        if tx == b"fault":
            raise MemoryError("too large for this machine")
        if tx == b"votes":
            return repr((ctx.votes, ctx.misbehaviour)).encode()
        key, _, value = tx.partition(b"=")
        state.put(key, value or b"1")
        ctx.emit("word", key=key, size=len(value))
        return b"done"

    def query(self, path: str, data: bytes, state: Any) -> bytes:
        if path != "value":
            raise Revert(f"there is no {path}", code=4)
        return state.get(data) or b""

    def end_block(self, state: Any, ctx: Any, receipts: Any) -> EndBlock | None:
        if ctx.txs:
            ctx.emit("ended", height=ctx.height)
        validators, parameters = [], {}
        for tx in ctx.txs:
            match tx.split(b" "):
                case [b"power", key, power]:
                    validators.append(ValidatorUpdate(bytes.fromhex(key.decode()), int(power)))
                case [b"set", name, value]:
                    parameters[name.decode()] = int(value)
        return EndBlock(tuple(validators), parameters) if validators or parameters else None


class Copies:
    """A transaction "FROM TO..." reads a key and writes others; one that ends in "-" is deleted."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> None:
        source, *targets = tx.split(b" ")
        value = state.get(source)
        for target in targets:
            if target.endswith(b"-"):
                state.delete(target[:-1])
            else:
                state.put(target, (value or b"") + b".")
