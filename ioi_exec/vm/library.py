"""What a shared library does, as bytes: of an ELF file what is loaded of it and decides anything, whatever it was built beside.

Sections that are loaded and hold code or data, the relocations that fill data with addresses, and the names of symbols, by which others are
called. Not counted: notes (a build's id among them), names of files and of directories to search, debugging information.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Iterator

# ELF of 64 bits, little endian, as x86-64 and aarch64 have it.
_MAGIC = b"\x7fELF\x02\x01"
_SECTIONS_AT, _SECTIONS = struct.Struct("<Q"), struct.Struct("<HH")  # where they are; size and number of their headers
_SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, information, alignment, size of an entry
_SYMBOL = struct.Struct("<IBBHQQ")  # name, kind, visibility, section, value, size
_LOADED = 2
_PROGBITS, _STRTAB, _RELA, _REL, _DYNSYM, _ARRAYS = 1, 3, 4, 9, 11, (14, 15, 16)


def digest(data: bytes) -> str:
    """SHA-256 of that, in hex; of all bytes where the file has no such form."""
    try:
        parts = list(_parts(data))
    except (struct.error, IndexError, ValueError, OverflowError):
        parts = []
    return sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts or [data])).hexdigest()


def _parts(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_MAGIC):
        raise ValueError("no ELF file of 64 bits")
    (at,), (size, count) = _SECTIONS_AT.unpack_from(data, 0x28), _SECTIONS.unpack_from(data, 0x3A)
    sections = [_SECTION.unpack_from(data, at + size * index) for index in range(count)]
    for _, kind, flags, _, offset, length, link, _, _, _ in sections:
        if not flags & _LOADED:
            continue
        if kind in (_PROGBITS, _RELA, _REL, *_ARRAYS):
            yield data[offset : offset + length]
        elif kind == _DYNSYM:
            names = sections[link][4]
            for name, *rest in _SYMBOL.iter_unpack(data[offset : offset + length]):
                yield data[names + name : data.index(b"\0", names + name)] + repr(rest).encode()
