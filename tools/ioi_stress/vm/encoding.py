"""The transactions of the Program VM: short programs, as bytes and as operations.

    transaction  0x01, id u64, operations to the end. The id makes equal programs write different values
    operation    code u8, then:
      READ       key                               a value, or that there is none, goes into the digest
      EXISTS     key                               the same of its presence alone
      WRITE      key, size u32                     the digest, repeated and cut to `size` bytes, becomes the value
      DELETE     key
      SCAN       flags u8, limit u32 (0 = none), key operands as the flags say: prefix, or start and end (exclusive).
                 Every pair found goes into the digest, and that it ended. Only the Python VM can scan
      WHEN       mask u8, bits u8, length u32, operations: executed if (last byte of the digest & mask) == bits
      UNDO       as WHEN, but always executed, in a checkpoint, and its writes undone if the condition holds afterwards
      REVERT     mask u8, bits u8, code u8 (not 0): the transaction fails with this code if the condition holds
      BURN       nanoseconds u64                   computes for so long
      SLEEP      nanoseconds u64                   waits for so long
    key          0x00, length u8 (not 0), bytes
                 0x01, length u8, bytes, n u32: the bytes, then eight decimal digits of (first eight bytes of the digest mod n)

Integers are big endian. What does not parse to its last byte fails as "malformed" before anything is read.

The digest is 32 bytes: at first SHA-256(transaction); after each observation SHA-256(digest, tag u8, what was observed):

    0x00 absent | 0x01 value | 0x02 does not exist | 0x03 exists | 0x04 key length u16, key, value (of a scan) | 0x05 end of a scan

It is the output of a transaction that succeeds: one wrong read shows in everything that follows.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ioi_exec import InputError

VERSION = 1
READ, EXISTS, WRITE, DELETE, SCAN, WHEN, UNDO, REVERT, BURN, SLEEP = range(1, 11)
REVERSE, START, END, PREFIX = 1, 2, 4, 8
"""The flags of a scan."""

SIZE_MAX = 1 << 24
"""Bytes of a value: more than any `Limits.value_bytes` of use, little enough to be made before it is refused."""
NUMBER_MAX = 100_000_000
"""Numbers in computed keys have eight digits."""
COST_MAX_NS = 10**9 * 600
DEPTH_MAX = 16
"""WHEN and UNDO inside each other."""


class Key(NamedTuple):
    """name: bytes of the key; numbers: 0, or how many different numbers may follow the name, chosen by the digest."""

    name: bytes
    numbers: int = 0


class Operation(NamedTuple):
    """One operation. Which fields count depends on the code: see the module."""

    code: int
    key: Key = Key(b"")
    number: int = 0
    """size, limit, nanoseconds, or the code of a REVERT"""
    mask: int = 0
    bits: int = 0
    flags: int = 0
    start: Key | None = None
    """Also the prefix."""
    end: Key | None = None
    body: tuple[Operation, ...] = ()


Operations: TypeAlias = "tuple[Operation, ...]"


class Malformed(Exception):
    """These bytes are no program."""


def transaction(number: int, operations: bytes) -> bytes:
    """number: the id, u64. operations: what the functions below return, joined."""
    return b"\x01" + number.to_bytes(8, "big") + operations


def key(name: bytes, numbers: int = 0) -> bytes:
    """A key operand. numbers: see Key. Raises InputError."""
    if numbers == 0:
        if not 1 <= len(name) <= 255:
            raise InputError(f"a key of {len(name)} bytes: programs name keys of 1 to 255")
        return b"\x00" + len(name).to_bytes(1, "big") + name
    if len(name) > 247 or not 1 <= numbers <= NUMBER_MAX:
        raise InputError(f"a computed key has at most 247 bytes before its number and 1 to {NUMBER_MAX} numbers")
    return b"\x01" + len(name).to_bytes(1, "big") + name + numbers.to_bytes(4, "big")


def read(operand: bytes) -> bytes:
    return b"\x01" + operand


def exists(operand: bytes) -> bytes:
    return b"\x02" + operand


def write(operand: bytes, size: int) -> bytes:
    """Raises InputError for a value that is too large."""
    if not 0 <= size <= SIZE_MAX:
        raise InputError(f"a value of {size} bytes: programs write at most {SIZE_MAX}")
    return b"\x03" + operand + size.to_bytes(4, "big")


def delete(operand: bytes) -> bytes:
    return b"\x04" + operand


def scan(
    start: bytes = b"", end: bytes = b"", *, prefix: bytes = b"", limit: int = 0, reverse: bool = False
) -> bytes:
    """start, end, prefix: key operands, b"" for none. limit: 0 for none. Raises InputError for a prefix beside a bound."""
    if prefix and (start or end):
        raise InputError("a scan has a prefix or bounds, not both")
    flags = REVERSE * reverse + START * bool(start) + END * bool(end) + PREFIX * bool(prefix)
    return b"\x05" + flags.to_bytes(1, "big") + limit.to_bytes(4, "big") + prefix + start + end


def when(mask: int, bits: int, body: bytes) -> bytes:
    return bytes((WHEN, mask, bits)) + len(body).to_bytes(4, "big") + body


def undo(mask: int, bits: int, body: bytes) -> bytes:
    return bytes((UNDO, mask, bits)) + len(body).to_bytes(4, "big") + body


def revert(mask: int = 0, bits: int = 0, code: int = 1) -> bytes:
    """Always, unless a mask is given."""
    return bytes((REVERT, mask, bits, code))


def cost(kind: str, nanoseconds: int) -> bytes:
    """kind: "burn" or "sleep". No operation at all for 0 ns. Raises InputError beyond ten minutes."""
    if not 0 <= nanoseconds <= COST_MAX_NS:
        raise InputError(f"a cost of {nanoseconds} ns: programs take 0 to {COST_MAX_NS}")
    code = {"burn": BURN, "sleep": SLEEP}[kind]
    return bytes((code,)) + nanoseconds.to_bytes(8, "big") if nanoseconds else b""


def decode(tx: bytes) -> Operations:
    """The operations of a transaction. Raises Malformed."""
    if len(tx) < 9 or tx[0] != VERSION:
        raise Malformed
    return _Reader(tx[9:]).operations(0)


class _Reader:
    def __init__(self, bytes_: bytes) -> None:
        self._all = bytes_
        self._at = 0

    def operations(self, depth: int) -> Operations:
        if depth > DEPTH_MAX:
            raise Malformed
        found = []
        while self._at < len(self._all):
            found.append(self._operation(depth))
        return tuple(found)

    def _operation(self, depth: int) -> Operation:
        code = self._number(1)
        if code in (READ, EXISTS, DELETE):
            return Operation(code, self._key())
        if code == WRITE:
            return Operation(code, self._key(), self._number(4, SIZE_MAX))
        if code == SCAN:
            return self._scan()
        if code in (BURN, SLEEP):
            return Operation(code, number=self._number(8, COST_MAX_NS))
        if code not in (WHEN, UNDO, REVERT):
            raise Malformed
        mask, bits = self._number(1), self._number(1)
        if code == REVERT:
            failure = self._number(1)
            if failure == 0:
                raise Malformed
            return Operation(code, mask=mask, bits=bits, number=failure)
        body = _Reader(self._bytes(self._number(4))).operations(depth + 1)
        return Operation(code, mask=mask, bits=bits, body=body)

    def _scan(self) -> Operation:
        flags, limit = self._number(1), self._number(4)
        if flags > 15 or flags & PREFIX and flags & (START | END):
            raise Malformed
        start = self._key() if flags & (START | PREFIX) else None
        end = self._key() if flags & END else None
        return Operation(SCAN, number=limit, flags=flags, start=start, end=end)

    def _key(self) -> Key:
        kind, length = self._number(1), self._number(1)
        name = self._bytes(length)
        if kind == 0 and length > 0:
            return Key(name)
        if kind != 1 or length > 247:
            raise Malformed
        numbers = self._number(4, NUMBER_MAX)
        if numbers == 0:
            raise Malformed
        return Key(name, numbers)

    def _number(self, size: int, most: int | None = None) -> int:
        value = int.from_bytes(self._bytes(size), "big")
        if most is not None and value > most:
            raise Malformed
        return value

    def _bytes(self, count: int) -> bytes:
        if count > len(self._all) - self._at:
            raise Malformed
        self._at += count
        return self._all[self._at - count : self._at]
