"""A worker process: reads one JSON request a line from stdin, answers one a line. Run by test_reader.py."""

from __future__ import annotations

import json
import sys
from typing import Any

from ioi_storage import Reader

heavy = [name for name in ("numpy", "psutil", "cloudpickle") if name in sys.modules]
reader = Reader(json.loads(sys.argv[1]))


def text(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def answer(name: str, arguments: list[Any]) -> Any:
    keys = [None if key is None else bytes.fromhex(key) for key in arguments if not isinstance(key, (bool, int))]
    if name == "heavy":
        return heavy
    if name == "get":
        return text(reader.get(keys[0]))
    if name == "getmulti":
        return [text(value) for value in reader.getmulti(keys)]
    if name == "scan":
        return [[key.hex(), value.hex()] for key, value in reader.scan(keys[0], keys[1], arguments[2])]
    if name == "begin":
        return reader.begin().version
    return getattr(reader, name)()


for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        reply = {"ok": answer(name, arguments)}
    except Exception as error:
        reply = {"error": type(error).__name__, "text": str(error)}
    print(json.dumps(reply), flush=True)
