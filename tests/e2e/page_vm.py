"""A VM whose transactions conflict, take as long as they say, and leave whatever bytes and text somebody wants to be seen by others."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from ioi_exec import Revert


class Shouting:
    """Transactions are JSON: {"add": KEY, "work": n}: add 1 to a counter after n hashes; {"put": HEX, "value": HEX}; {"delete": HEX};
    {"emit": NAME, "attributes": {NAME: text}, "output": text, "times": n}: so often each text; {"fail": text}; {"large": n}: a value of n bytes."""

    def execute(self, tx: bytes, state: Any, ctx: Any) -> bytes:
        asked = json.loads(tx)
        times = asked.get("times", 1)
        if "fail" in asked:
            raise Revert(asked["fail"], code=3)
        if "add" in asked:
            key = asked["add"].encode()
            before = int(state.get(key) or b"0")
            digest = b""
            for _ in range(asked.get("work", 0)):
                digest = sha256(digest).digest()
            state.put(key, b"%d" % (before + 1))
        if "put" in asked:
            state.put(bytes.fromhex(asked["put"]), bytes.fromhex(asked["value"]))
        if "delete" in asked:
            state.delete(bytes.fromhex(asked["delete"]))
        if "large" in asked:
            state.put(b"large", b"<b>" * (asked["large"] // 3))
        if "emit" in asked:
            ctx.emit(asked["emit"], **{name: text * times for name, text in asked["attributes"].items()})
        return str(asked.get("output", "") * times).encode()


def transaction(**asked: Any) -> bytes:
    """n: makes two of them differ."""
    return json.dumps(asked).encode()
