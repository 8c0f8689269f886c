"""Keys: those of a state, and those of the rows that trees and values are kept in. Integers are big endian."""

from __future__ import annotations

import struct

KEY_LIMIT = 511
"""Bytes of a key, at most; it has one at least."""

_U64 = struct.Struct(">Q")


def check_key(key: bytes) -> None:
    """ValueError if no key can look like this."""
    if not 1 <= len(key) <= KEY_LIMIT:
        raise ValueError(f"a key has 1 to {KEY_LIMIT} bytes, this one {len(key)}")


def check_number(name: str, number: int, bits: int) -> None:
    """TypeError or ValueError for what is no number of so many bits."""
    if not isinstance(number, int):
        raise TypeError(f"{name} is {type(number).__name__}: give an integer")
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{name} must be from 0 to 2**{bits} - 1, not {number if number.bit_length() < 256 else 'a longer number'}")


def u64(number: int) -> bytes:
    return _U64.pack(number)


def value_key(version: int, key_hash: bytes) -> bytes:
    """The key of the row that has what this version wrote under a key."""
    return _U64.pack(version) + key_hash
