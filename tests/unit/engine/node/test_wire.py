"""The codec of ABCI's messages, against the library of protobuf, and against what a CometBFT 0.38 sent.

IOI_WIRE_MESSAGES random messages of each kind."""

from __future__ import annotations

import json
import random
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import abci_protos
import effort
import pytest

from ioi_exec.node import messages, wire
from ioi_exec.node.wire import Malformed, decode, encode, varint, varint_at

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "recorded.jsonl").read_text().splitlines()]
KINDS = {name: kind for name, kind in vars(messages).items() if is_dataclass(kind) and name != "Nothing"}
MESSAGES = effort.amount("IOI_WIRE_MESSAGES", sample=6, many=200)
NUMBERS = [0, 1, 127, 128, 300, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
SIGNED = {"int64": 64, "int32": 32}
UNSIGNED = {"uint64": 64, "uint32": 32}


def a_number(kind: str, rng: random.Random) -> int:
    bits = SIGNED.get(kind) or UNSIGNED[kind]
    number = rng.choice(NUMBERS) % (1 << bits)
    return number - (1 << bits) if kind in SIGNED and number >> (bits - 1) else number


def a_value(kind: str, rng: random.Random) -> Any:
    if kind == "bytes":
        return rng.randbytes(rng.choice((0, 1, 20, 200)))
    if kind == "string":
        return "".join(rng.choice("ab\0é語") for _ in range(rng.choice((0, 1, 100))))
    if kind == "bool":
        return rng.random() < 0.5
    return a_number(kind, rng)


def random_message(name: str, rng: random.Random, depth: int = 0) -> tuple[Any, Any]:
    """Of this codec, and the same of the library."""
    theirs = abci_protos.classes()[name]()
    values: dict[str, Any] = {}
    for many, kind, field, _ in abci_protos.declared()[name]:
        if rng.random() < 0.3:
            continue
        if kind in KINDS:
            pairs = [random_message(kind, rng, depth + 1) for _ in range(rng.randrange(3) if many else 1)]
            values[field] = tuple(ours for ours, _ in pairs) if many else pairs[0][0]
            getattr(theirs, field).extend(other for _, other in pairs) if many else getattr(theirs, field).CopyFrom(pairs[0][1])
        else:
            listed = [a_value(kind, rng) for _ in range(rng.randrange(4) if many else 1)]
            values[field] = tuple(listed) if many else listed[0]
            getattr(theirs, field).extend(listed) if many else setattr(theirs, field, listed[0])
    return KINDS[name](**values), theirs


def same(ours: Any, theirs: Any) -> bool:
    for part in fields(ours):
        mine, other = getattr(ours, part.name), getattr(theirs, part.name)
        if mine is None:
            if theirs.HasField(part.name):
                return False
        elif isinstance(mine, tuple):
            if len(mine) != len(other) or not all(same(a, b) if is_dataclass(a) else a == b for a, b in zip(mine, other)):
                return False
        elif not (theirs.HasField(part.name) and same(mine, other) if is_dataclass(mine) else mine == other):
            return False
    return True


def test_every_message_is_compared() -> None:
    assert KINDS.keys() | {"Finalized"} == abci_protos.declared().keys()
    for name, kind in KINDS.items():
        assert [part.name for part in fields(kind)] == [field for _, _, field, _ in abci_protos.declared()[name]]


@pytest.mark.sampled
@pytest.mark.parametrize("name", KINDS)
def test_encoded_as_the_library_does(name: str) -> None:
    rng = random.Random(effort.seed(5))
    for _ in range(MESSAGES):
        ours, theirs = random_message(name, rng)
        data = encode(ours)
        assert data == theirs.SerializeToString(deterministic=True)
        assert decode(KINDS[name], data) == ours


@pytest.mark.sampled
@pytest.mark.parametrize("name", KINDS)
def test_decoded_as_the_library_does(name: str) -> None:
    """Fields in any order, again, unknown, and what is broken."""
    rng = random.Random(effort.seed(6))
    kind, library = KINDS[name], abci_protos.classes()[name]
    unknown = [varint(99 << 3) + b"\5", varint(99 << 3 | 2) + b"\3abc", varint(77 << 3 | 1) + bytes(8), varint(78 << 3 | 5) + bytes(4)]
    for index in range(2 * MESSAGES):
        whole = index % 2 == 0
        parts = [encode(random_message(name, rng)[0]) for _ in range(rng.randrange(1, 4))] + rng.choices(unknown, k=rng.randrange(3))
        rng.shuffle(parts)
        data = b"".join(parts)
        if not whole and data:
            at = rng.randrange(len(data))
            data = rng.choice((data[:at], data[:at] + rng.randbytes(1) + data[at + 1 :]))
        try:
            theirs = library.FromString(data)
        except Exception:
            theirs = None
        try:
            ours = decode(kind, data)
        except Malformed:
            # Groups are no part of proto3, and the library passes over them.
            assert not whole and (theirs is None or any(byte & 7 in (3, 4) for byte in data)), data
            continue
        assert theirs is not None and same(ours, theirs), data


@pytest.mark.parametrize("number, name, data", RECORDED)
def test_what_a_node_sent(number: int, name: str, data: str) -> None:
    """Is read without a loss: the node writes its messages in the one way there is, but for empty ones that it keeps."""
    if name == "Nothing":
        assert data == ""
        return
    body = bytes.fromhex(data)
    ours = decode(KINDS[name], body)
    assert same(ours, abci_protos.classes()[name].FromString(body))
    assert encode(ours) == body


def test_numbers() -> None:
    for number in NUMBERS:
        assert varint_at(b"\xff" + varint(number), 1) == (number, 1 + len(varint(number)))
    for broken in (b"", b"\x80", b"\xff" * 10, b"\xff" * 11):
        with pytest.raises(Malformed):
            varint_at(broken, 0)


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty elements are two bytes each, and objects."""
    monkeypatch.setattr(wire, "ELEMENTS_MOST", 10)
    assert decode(messages.Proposed, b"\x0a\0" * 10).txs == (b"",) * 10
    with pytest.raises(Malformed, match="more than 10"):
        decode(messages.Proposed, b"\x0a\0" * 11)


def test_text_that_is_none() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        decode(messages.Echo, b"\x0a\1\xff")
    assert encode(messages.Echo("\ud800")) == b"\x0a\6\\ud800"  # what UTF-8 cannot hold is shown
