"""Varints: seven bits a byte, the lowest first, the high bit says that more follow."""

from __future__ import annotations


def varint(value: int) -> bytes:
    if value < 128:
        return bytes([value])
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    coded.append(value)
    return bytes(coded)
