"""What a VM tells of a transaction, or of a block, beside its writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator

# As shm/core/python/events.c packs them.
_LENGTH = struct.Struct("<I")
_ATTRIBUTE = struct.Struct("<BB")
_BYTES, _TEXT, _INTEGER = 1, 2, 3

Value = bytes | str | int


@dataclass(frozen=True)
class Event:
    """An event of `ctx.emit(name, **attributes)`. attributes: in the order they were given."""

    name: str
    attributes: tuple[tuple[str, Value], ...] = ()

    def __getitem__(self, name: str) -> Value:
        """The value of an attribute. Raises KeyError."""
        return dict(self.attributes)[name]


def unpacked(packed: bytes) -> Iterator[Event]:
    """The events that are packed one after another."""
    at = 0
    while at < len(packed):
        end = at + _LENGTH.size + _LENGTH.unpack_from(packed, at)[0]
        yield _event(packed[at + _LENGTH.size : end])
        at = end


def _event(packed: bytes) -> Event:
    at = 1 + packed[0]
    name, count = packed[1:at].decode(), packed[at]
    at += 1
    attributes = []
    for _ in range(count):
        kind, name_len = _ATTRIBUTE.unpack_from(packed, at)
        name_at = at + _ATTRIBUTE.size
        value_at = name_at + name_len + _LENGTH.size
        at = value_at + _LENGTH.unpack_from(packed, name_at + name_len)[0]
        attributes.append((packed[name_at : name_at + name_len].decode(), _value(kind, packed[value_at:at])))
    assert at == len(packed), "an event: its lengths do not add up"
    return Event(name, tuple(attributes))


def _value(kind: int, data: bytes) -> Value:
    if kind == _BYTES:
        return data
    return data.decode() if kind == _TEXT else int(data, 16)
