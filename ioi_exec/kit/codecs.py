"""Keys and values of the state as bytes, and back.

The bytes of keys sort as the keys do, and are part of the consensus: they never change. What stands inside a tuple says itself where
it ends; what stands last is as it is, so that a key of one text is that text.

    int             one byte, 0x80 plus the number of bytes of its magnitude (minus, for a negative one), and the magnitude, big endian
                    (its complement, for a negative one): 0 is 80, 5 is 81 05, -5 is 7f fa; at most 127 bytes
    Unsigned(n)     n bytes, big endian                      Signed(n)     the same of the number plus 2^(8 n - 1)
    bytes           as they are; inside a tuple each 00 becomes 00 ff, and 00 01 ends them (as in CockroachDB's keys)
    Bytes(n)        just n bytes, as they are, everywhere
    str             its UTF-8, as bytes are
    bool            00 or 01
    tuple           one after the other; of a NamedTuple too
    msgspec.Struct  MessagePack with its fields in their order; a value only, and no key
"""

from __future__ import annotations

import types
import typing
from typing import Any, Callable, Generic, TypeVar

from ioi_exec.arguments import integer, shown, wrong_type
from ioi_exec.errors import InputError, InputTypeError

T = TypeVar("T")

_INT_MOST = 127  # bytes of a magnitude
_ZERO, _END, _ESCAPED = b"\x00", b"\x00\x01", b"\x00\xff"


class Codec(Generic[T]):
    """Makes bytes of one kind of value, and that value of them.

    What does not fit raises InputTypeError or InputError, and so do bytes that `pack` does not make.
    """

    is_key = True  # sorts

    def __repr__(self) -> str:
        return type(self).__name__

    def pack(self, value: T, last: bool = True) -> bytes:
        """last: nothing follows."""
        raise NotImplementedError

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[T, int]:
        """What stands in `data` from `at` on, and where it ends: at the end, if it is the last."""
        raise NotImplementedError

    def whole(self, data: bytes) -> T:
        """What all of `data` is."""
        value, end = self.unpack(data)
        if end != len(data):
            raise InputError(f"{len(data) - end} bytes follow after its end")
        return value


Spec = type[T] | Codec[T] | tuple[Any, ...]
"""What a key or a value is: a type from the list above, or what one of its classes makes; of tuples, `tuple[bytes, int]` or
`(Bytes(32), int)`."""


class Integer(Codec[int]):
    def pack(self, value: int, last: bool = True) -> bytes:
        number = integer(shown(value), value, -(1 << 8 * _INT_MOST) + 1, (1 << 8 * _INT_MOST) - 1, give="an integer of at most 127 bytes")
        size = (abs(number).bit_length() + 7) // 8
        if number < 0:
            return bytes((0x80 - size,)) + (number + (1 << 8 * size) - 1).to_bytes(size, "big")
        return bytes((0x80 + size,)) + number.to_bytes(size, "big")

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[int, int]:
        head = _some(data, at, 1)[0]
        size = abs(head - 0x80)
        number = int.from_bytes(_some(data, at + 1, size), "big")
        if head < 0x80:
            number += 1 - (1 << 8 * size)
        if size and abs(number) < 1 << 8 * (size - 1) or size > _INT_MOST:
            raise InputError("an integer is not in its shortest form")
        return number, at + 1 + size


class Unsigned(Codec[int]):
    """Integers from 0 to 2^(8 size) - 1."""

    def __init__(self, size: int) -> None:
        self._size = integer("Unsigned: the number of bytes", size, 1, 64)
        self._least, self._most = 0, (1 << 8 * self._size) - 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._size})"

    def pack(self, value: int, last: bool = True) -> bytes:
        number = integer(shown(value), value, self._least, self._most)
        return (number - self._least).to_bytes(self._size, "big")

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[int, int]:
        return int.from_bytes(_some(data, at, self._size), "big") + self._least, at + self._size


class Signed(Unsigned):
    """Integers from -2^(8 size - 1) to 2^(8 size - 1) - 1."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._least, self._most = -(1 << 8 * self._size - 1), (1 << 8 * self._size - 1) - 1


class Octets(Codec[bytes]):
    def pack(self, value: bytes, last: bool = True) -> bytes:
        if not isinstance(value, bytes):
            raise wrong_type(shown(value), value, "bytes")
        return bytes(value) if last else bytes.replace(value, _ZERO, _ESCAPED) + _END

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[bytes, int]:
        if last:
            return data[at:], len(data)
        end = data.find(_ZERO, at)
        while end >= 0 and data[end : end + 2] == _ESCAPED:
            end = data.find(_ZERO, end + 2)
        if end < 0 or data[end : end + 2] != _END:
            raise InputError("what should be bytes has no end")
        return data[at:end].replace(_ESCAPED, _ZERO), end + 2


class Bytes(Codec[bytes]):
    """Just `size` bytes: an address, a hash."""

    def __init__(self, size: int) -> None:
        self._size = integer("Bytes: the number of bytes", size, 1, 1 << 20)

    def __repr__(self) -> str:
        return f"Bytes({self._size})"

    def pack(self, value: bytes, last: bool = True) -> bytes:
        if not isinstance(value, bytes):
            raise wrong_type(shown(value), value, f"{self._size} bytes")
        if len(value) != self._size:
            raise InputError(f"{shown(value)} has {len(value)} bytes: give {self._size}")
        return bytes(value)

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[bytes, int]:
        return _some(data, at, self._size), at + self._size


class Text(Codec[str]):
    _octets = Octets()

    def pack(self, value: str, last: bool = True) -> bytes:
        if not isinstance(value, str):
            raise wrong_type(shown(value), value, "text (str)")
        try:
            return self._octets.pack(str.encode(value), last)
        except UnicodeEncodeError:
            raise InputError(f"{shown(value)} has half of a surrogate pair in it, which is no text") from None

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[str, int]:
        octets, end = self._octets.unpack(data, at, last)
        try:
            return octets.decode(), end
        except UnicodeDecodeError:
            raise InputError("what should be text is no UTF-8") from None


class Flag(Codec[bool]):
    def pack(self, value: bool, last: bool = True) -> bytes:
        if not isinstance(value, bool):
            raise wrong_type(shown(value), value, "True or False")
        return b"\x01" if value else b"\x00"

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[bool, int]:
        byte = _some(data, at, 1)
        if byte > b"\x01":
            raise InputError("what should be a truth value is neither 00 nor 01")
        return byte == b"\x01", at + 1


class Row(Codec[Any]):
    """A tuple, each part with a codec of its own. make: what becomes of the parts."""

    def __init__(self, parts: tuple[Codec[Any], ...], make: Callable[[list[Any]], Any] = tuple) -> None:
        self._parts = parts
        self._make = make

    def __repr__(self) -> str:
        return repr(self._parts)

    def pack(self, value: Any, last: bool = True) -> bytes:
        self._check(value)
        if len(value) != len(self._parts):
            raise InputError(f"{shown(value)} has {len(value)} parts: give {len(self._parts)}")
        end = len(value) - 1
        return b"".join([part.pack(each, last and index == end) for index, (part, each) in enumerate(zip(self._parts, value))])

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[Any, int]:
        found = []
        end = len(self._parts) - 1
        for index, part in enumerate(self._parts):
            value, at = part.unpack(data, at, last and index == end)
            found.append(value)
        return self._make(found), at

    def first(self, value: Any) -> bytes:
        """What begins every tuple that begins with these parts; of all parts, that tuple."""
        self._check(value)
        if len(value) > len(self._parts):
            raise InputError(f"{shown(value)} has {len(value)} parts: give at most {len(self._parts)}")
        if len(value) == len(self._parts):
            return self.pack(value)
        return b"".join([part.pack(each, False) for part, each in zip(self._parts, value)])

    def _check(self, value: Any) -> None:
        if not isinstance(value, tuple):
            raise wrong_type(shown(value), value, f"a tuple of {len(self._parts)}")


class Struct(Codec[Any]):
    """A msgspec.Struct as MessagePack."""

    is_key = False

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._encode, self._decode = self._coders(cls)

    def __repr__(self) -> str:
        return f"Struct {self._cls.__name__} of {self._cls.__struct_fields__}"  # type: ignore[attr-defined]

    def pack(self, value: Any, last: bool = True) -> bytes:
        if type(value) is not self._cls:
            raise wrong_type(shown(value), value, self._cls.__name__)
        try:
            data: bytes = self._encode(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{shown(value)} cannot be written: {error}") from None
        return data

    def unpack(self, data: bytes, at: int = 0, last: bool = True) -> tuple[Any, int]:
        try:
            return self._decode(data), len(data)
        except ValueError as error:
            raise InputError(f"what should be {self._cls.__name__} is none: {error}") from None

    def __reduce__(self) -> tuple[type[Struct], tuple[type]]:
        return type(self), (self._cls,)

    @staticmethod
    def _coders(cls: type) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
        import msgspec

        return msgspec.msgpack.Encoder(order="deterministic").encode, msgspec.msgpack.Decoder(cls).decode


_PLAIN: dict[type, Codec[Any]] = {int: Integer(), bytes: Octets(), str: Text(), bool: Flag()}


def codec(what: str, spec: Any) -> Codec[Any]:
    """The codec of a specification. what: names it in errors. Raises InputTypeError, InputError."""
    if isinstance(spec, Codec):
        return spec
    if isinstance(spec, type) and not isinstance(spec, types.GenericAlias):
        if spec in _PLAIN:
            return _PLAIN[spec]
        if issubclass(spec, tuple) and hasattr(spec, "_fields"):
            named: Any = spec
            hints = typing.get_type_hints(named)
            return _row(what, tuple(hints[field] for field in named._fields), named._make)
        if hasattr(spec, "__struct_fields__"):
            return Struct(spec)
    parts = spec if isinstance(spec, tuple) else typing.get_args(spec) if typing.get_origin(spec) is tuple else ()
    if parts and ... not in parts:
        return _row(what, parts)
    raise InputTypeError(
        f"{what} is {shown(spec)}: give int, bytes, str, bool, a codec as Bytes(32) and Unsigned(8) are, a tuple of these as in "
        "tuple[bytes, int], a NamedTuple, or, for values, a msgspec.Struct"
    )


def _row(what: str, parts: tuple[Any, ...], make: Callable[[list[Any]], Any] = tuple) -> Row:
    codecs = tuple(codec(f"{what}, part {index}", part) for index, part in enumerate(parts))
    if not all(part.is_key for part in codecs):
        raise InputError(f"{what} has a struct inside a tuple: make the whole a struct")
    if not codecs:
        raise InputError(f"{what} is an empty tuple: give it parts")
    return Row(codecs, make)


def _some(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise InputError(f"{len(data) - at} bytes are left where {size} are needed")
    return data[at : at + size]
