"""Run by test_lag.py: a state seen from another process, by a read-only store or a reader (argv[1]).

One JSON pair on stdin, [command, argument], one JSON line on stdout; keys and values in hex."""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Any

from ioi_storage import Reader, Store


def hex_or_none(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def pairs(found: Any) -> list[list[str]]:
    return [[key.hex(), value.hex()] for key, value in found]


def look(state: Any, version: int, keys: list[bytes]) -> dict[str, Any]:
    return {
        "version": version,
        "get": [hex_or_none(state.get(key)) for key in keys],
        "getmulti": [hex_or_none(value) for value in state.getmulti(keys)],
        "scan": pairs(state.scan(None, None)),
        "reverse": pairs(state.scan(None, None, reverse=True)),
    }


def main(mode: str) -> None:
    state: Any = None
    scan: Any = None
    version = 0
    for line in sys.stdin:
        command, argument = json.loads(line)
        answer: Any = None
        if command == "open":
            if state is not None:
                state.close()  # of a test that failed
            state = Store.open(argument, read_only=True) if mode == "store" else Reader(argument)
        elif command == "begin":
            version = state.begin().version
        elif command == "look":
            answer = look(state, state.version if mode == "store" else version, [bytes.fromhex(key) for key in argument])
        elif command == "scan":  # the next pairs of one scan, which stays open over other commands
            scan = state.scan() if scan is None else scan
            answer = pairs(islice(scan, argument))
        elif command == "close":
            scan = None
            state.close()
            state = None
        print(json.dumps(answer), flush=True)


main(sys.argv[1])
