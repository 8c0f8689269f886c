"""A VM whose transactions say all that they read of a small state."""

from __future__ import annotations

import json
from typing import Any

from ioi_exec import Revert, StateView, TxContext

KEYS = [b"k%02d" % i + b"." * (i % 7) for i in range(40)]


def told(values: list[Any]) -> bytes:
    return json.dumps([None if value is None else value.hex() for value in values]).encode()


class ReadingVM:
    """A transaction is JSON: {"get": true} or {"scan": reverse} and what it writes, by the number of a key; null deletes."""

    def __init__(self, hints: bool = False) -> None:
        if hints:
            self.keys = lambda tx: KEYS

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        what = json.loads(tx)
        out = b""
        if "get" in what:
            out = told([state.get(key) for key in KEYS])
        if "scan" in what:
            out = told([part for pair in state.scan(reverse=what["scan"]) for part in pair])
        for number, value in what.get("put", {}).items():
            if value is None:
                state.delete(KEYS[int(number)])
            else:
                state.put(KEYS[int(number)], bytes.fromhex(value))
        if what.get("fail"):
            raise Revert(1, "it was to fail")
        return out
