"""Dumps: a state as JSON lines. First what it is, then one pair a line, in the order of its tree:

    {"ioi_dump": 1, "tree": "jellyfish", "version": 3, "root": hex, "height": 3, "keys": 2,
     "vm": {"name": ..., "args": ..., "version": ...}, "limits": {...}, "chain_id": text, "gas": {...}}
    {"key": hex, "value": hex}
    {"key": hex, "value": hex}
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Iterator

from ioi_exec.arguments import MAX_INT64
from ioi_exec.block.preparation import checked_chain_id
from ioi_exec.errors import InputError, InputTypeError
from ioi_exec.files.gas import gas_object, gas_schedule
from ioi_exec.files.strict_json import (
    Malformed,
    fields,
    hex_bytes,
    json_object,
    number,
    parse,
    written,
)
from ioi_exec.gas import GasSchedule
from ioi_exec.limits import CONSENSUS_LIMITS, Limits
from ioi_exec.vm.loading import VMSpec
from ioi_exec.vm.upgrades import Upgrade, said_upgrades

_FORMAT = 1
_FIELDS = ("ioi_dump", "tree", "version", "root", "height", "keys", "vm", "limits")
_OPTIONAL = ("chain_id", "gas", "upgrades")
_HEAD_BYTES = 1 << 20
_LINE_EXTRA_BYTES = 1024  # what a line has beside its two values: names, spaces


@dataclass(frozen=True)
class DumpHead:
    """What a dump says of its state. root: 32 bytes. vm: that made the version. limits: those that can decide a receipt.
    upgrades: those that were pending."""

    tree: str
    version: int
    root: bytes
    height: int
    keys: int
    vm: VMSpec
    limits: dict[str, int]
    chain_id: str = ""
    gas: GasSchedule | None = None
    upgrades: tuple[Upgrade, ...] = ()

    def line(self) -> str:
        return json.dumps(
            {
                "ioi_dump": _FORMAT,
                "tree": self.tree,
                "version": self.version,
                "root": self.root.hex(),
                "height": written(self.height),
                "keys": self.keys,
                "vm": self.vm.to_json(),
                "limits": {name: written(limit) for name, limit in self.limits.items()},
                **({"chain_id": self.chain_id} if self.chain_id else {}),
                **({} if self.gas is None else {"gas": gas_object(self.gas)}),
                **({"upgrades": [replace(each, interpreter=None, code=None).to_json() for each in self.upgrades]} if self.upgrades else {}),
            }
        )


def pair_line(key: bytes, value: bytes) -> str:
    return f'{{"key": "{key.hex()}", "value": "{value.hex()}"}}'


class DumpReader:
    """Reads a dump from a stream, its head at once. Raises InputError as "name:line: reason"."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        try:
            line = stream.readline(_HEAD_BYTES)
            if not line:
                raise Malformed("it is empty: a dump begins with a line that says what it is")
            self.head = _head(json_object(parse(line, floats=True), "the first line"))
        except Malformed as error:
            raise InputError(f"{name}:1: {error}") from None

    def pairs(self, limits: Limits) -> Iterator[tuple[bytes, bytes]]:
        """All of them; InputError also if it ends early."""
        most = 2 * (limits.key_bytes + limits.value_bytes) + _LINE_EXTRA_BYTES
        count = 0
        while line := self._stream.readline(most + 1):
            try:
                if len(line) > most:
                    raise Malformed(f"the line has more than {most} bytes")
                pair = json_object(parse(line), "a line")
                fields(pair, ("key", "value"), ("key", "value"))
                key, value = hex_bytes(pair["key"], "key"), hex_bytes(pair["value"], "value")
                if not 1 <= len(key) <= limits.key_bytes:
                    raise Malformed(f"a key has 1 to {limits.key_bytes} bytes, this one {len(key)}")
                if len(value) > limits.value_bytes:
                    raise Malformed(f"a value has at most {limits.value_bytes} bytes, this one {len(value)}")
            except Malformed as error:
                raise InputError(f"{self._name}:{count + 2}: {error}") from None
            count += 1
            yield key, value
        if count != self.head.keys:
            raise InputError(f"{self._name}: it has {count} keys, its first line says {self.head.keys}: it is not whole")


def _head(value: dict[str, Any]) -> DumpHead:
    if value.get("ioi_dump") != _FORMAT:
        raise Malformed(f"this is no dump, or one of another format: \"ioi_dump\" must be {_FORMAT}")
    fields(value, (*_FIELDS, *_OPTIONAL), _FIELDS)
    try:
        vm = VMSpec.said(value["vm"])
    except ValueError as error:
        raise Malformed(f"vm: {error}") from None
    try:
        chain_id = checked_chain_id(value.get("chain_id"))
    except (InputError, InputTypeError) as error:
        raise Malformed(str(error)) from None
    gas = gas_schedule(value["gas"]) if "gas" in value else None
    try:
        upgrades = said_upgrades(value.get("upgrades", []))
    except (ValueError, InputError, InputTypeError, LookupError, TypeError) as error:
        raise Malformed(f"upgrades: {error}") from None
    if not isinstance(value["tree"], str):
        raise Malformed("tree must be text")
    limits = json_object(value["limits"], "limits")
    fields(limits, CONSENSUS_LIMITS, CONSENSUS_LIMITS)
    return DumpHead(
        value["tree"],
        number(value["version"], "version", MAX_INT64),
        hex_bytes(value["root"], "root", 32),
        number(value["height"], "height", MAX_INT64),
        number(value["keys"], "keys", MAX_INT64),
        vm,
        {name: number(limits[name], name, MAX_INT64) for name in CONSENSUS_LIMITS},
        chain_id,
        gas,
        upgrades,
    )
