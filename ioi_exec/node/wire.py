"""Protobuf's wire format (proto3), for messages that are dataclasses.

    @dataclass(frozen=True)
    class Validator:
        address: bytes = octets(1)
        power: int = int64(3)

    encode(Validator(b"a", 5)), decode(Validator, data)

Fields that hold their default are not written, and ascend: there is one encoding of a message. What is decoded may be in any order;
fields that are not known are passed over, of one that comes again the last counts, and a message that comes again is merged.

Its own, and not the library: twelve small messages, decoded as fast as the C of `protobuf` does it and encoded faster, without its slow
fallback in Python and without its clashes between versions. tests/unit/engine/node/test_wire.py compares the two.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any, Callable, NamedTuple, TypeVar

_Message = TypeVar("_Message")

ELEMENTS_MOST = 1 << 20  # of a repeated field: an empty element takes two bytes on the wire and far more as an object

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_U64 = (1 << 64) - 1
_TAG_BYTES = 5  # at most: a field's number has 29 bits


class Malformed(ValueError):
    """The bytes are no such message."""


class _Field(NamedTuple):
    number: int
    wire: int
    repeated: bool
    default: Any
    message: type | None = None
    read: Callable[[Any], Any] | None = None  # from a number, or bytes, as it is on the wire; None: that itself


def int64(number: int) -> Any:
    return _declared(_Field(number, _VARINT, False, 0, read=_signed64))


def uint64(number: int) -> Any:
    return _declared(_Field(number, _VARINT, False, 0))


def int32(number: int) -> Any:
    """An enum too."""
    return _declared(_Field(number, _VARINT, False, 0, read=_signed32))


def uint32(number: int) -> Any:
    return _declared(_Field(number, _VARINT, False, 0, read=_unsigned32))


def flag(number: int) -> Any:
    return _declared(_Field(number, _VARINT, False, False, read=bool))


def octets(number: int) -> Any:
    return _declared(_Field(number, _BYTES, False, b""))


def text(number: int) -> Any:
    return _declared(_Field(number, _BYTES, False, "", read=_text))


def message(number: int, of: type) -> Any:
    """None: it is not there."""
    return _declared(_Field(number, _BYTES, False, None, of))


def many_octets(number: int) -> Any:
    return _declared(_Field(number, _BYTES, True, ()))


def many_texts(number: int) -> Any:
    return _declared(_Field(number, _BYTES, True, (), read=_text))


def many(number: int, of: type) -> Any:
    return _declared(_Field(number, _BYTES, True, (), of))


def decode(kind: type[_Message], data: bytes) -> _Message:
    """Raises Malformed."""
    layout = _BY_TAG.get(kind) or _by_tag(kind)
    found: dict[str, Any] = {}
    parts: dict[str, tuple[type, bytes]] = {}
    at, end = 0, len(data)
    while at < end:
        tag, begin = data[at], at
        at += 1
        if tag > 0x7F:
            tag, at = varint_at(data, begin)
            if at - begin > _TAG_BYTES:
                raise Malformed(f"a tag has {at - begin} bytes")
        known = layout.get(tag)
        if known is None:
            at = _passed(data, at, tag)
            continue
        name, it = known
        value: Any
        if at < end and data[at] < 0x80:
            number, at = data[at], at + 1
        else:
            number, at = varint_at(data, at)
        if it.wire == _VARINT:
            value = number
        else:
            value, at = data[at : at + number], at + number
            if at > end:
                raise Malformed(f"field {it.number} of {kind.__name__} ends behind its message")
        if it.read is not None:
            value = it.read(value)
        if it.repeated:
            elements = found.setdefault(name, [])
            if len(elements) == ELEMENTS_MOST:
                raise Malformed(f"{kind.__name__} has more than {ELEMENTS_MOST} of field {it.number}")
            elements.append(value if it.message is None else decode(it.message, value))
        elif it.message is not None:
            parts[name] = it.message, parts[name][1] + value if name in parts else value  # written twice is merged
        else:
            found[name] = value
    for name, (of, whole) in parts.items():
        found[name] = decode(of, whole)
    return kind(**{name: tuple(value) if type(value) is list else value for name, value in found.items()})


def encode(message: object) -> bytes:
    out: list[bytes] = []
    for name, it in _in_order(type(message)):
        value = getattr(message, name)
        if it.repeated:
            for element in value:
                out.append(_encoded(it, element))
        elif value is not None and (it.message is not None or value != it.default):
            out.append(_encoded(it, value))
    return b"".join(out)


def _encoded(it: _Field, value: Any) -> bytes:
    if it.wire == _VARINT:
        return varint(it.number << 3) + varint(int(value) & _U64)
    if it.message is not None:
        value = encode(value)
    return delimited(it.number, value.encode("utf-8", "backslashreplace") if isinstance(value, str) else value)


def delimited(number: int, body: bytes) -> bytes:
    """A field that has bytes, text or a message."""
    return varint(number << 3 | _BYTES) + varint(len(body)) + body


def varint(number: int) -> bytes:
    if number < 0x80:
        return _ONE_BYTE[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint_at(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """(number below 2^64, where it ends). Raises Malformed."""
    number = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            raise Malformed("a number ends behind its message")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & _U64, at
    raise Malformed("a number has more than ten bytes")


def _passed(data: bytes, at: int, tag: int) -> int:
    """Behind a field that is not known, whose tag has been read."""
    if not 0 < tag >> 3 < 1 << 29:
        raise Malformed(f"there is no field {tag >> 3}")
    wire = tag & 7
    if wire == _BYTES:
        size, at = varint_at(data, at)
        at += size
    elif wire == _VARINT:
        at = varint_at(data, at)[1]
    elif wire in (_FIXED64, _FIXED32):
        at += 8 if wire == _FIXED64 else 4
    else:
        raise Malformed(f"field {tag >> 3} has the wire type {wire}, which messages of proto3 do not have")
    if at > len(data):
        raise Malformed(f"field {tag >> 3} ends behind its message")
    return at


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Malformed("a text is not UTF-8") from None


def _signed64(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _signed32(number: int) -> int:
    return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


def _unsigned32(number: int) -> int:
    return number & 0xFFFFFFFF


def _declared(it: _Field) -> Any:
    return field(default=it.default, metadata={"wire": it})


def _in_order(kind: Any) -> tuple[tuple[str, _Field], ...]:
    if kind not in _IN_ORDER:
        found = [(part.name, part.metadata["wire"]) for part in fields(kind)]
        _IN_ORDER[kind] = tuple(sorted(found, key=lambda part: part[1].number))
    return _IN_ORDER[kind]


def _by_tag(kind: Any) -> dict[int, tuple[str, _Field]]:
    return _BY_TAG.setdefault(kind, {it.number << 3 | it.wire: (name, it) for name, it in _in_order(kind)})


_IN_ORDER: dict[Any, tuple[tuple[str, _Field], ...]] = {}
_BY_TAG: dict[Any, dict[int, tuple[str, _Field]]] = {}
_ONE_BYTE = [bytes([number]) for number in range(0x80)]
