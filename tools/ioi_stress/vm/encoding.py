"""The transactions of the Program VM: short programs, as bytes and as operations.

    transaction  0x01, id u64, operations to the end. The id makes equal programs write different values
    operation    code u8, then:
      READ       key                               a value, or that there is none, goes into the digest
      EXISTS     key                               the same of its presence alone
      WRITE      key, size u32                     the digest, repeated and cut to `size` bytes, becomes the value
      DELETE     key
      SCAN       flags u8, limit u32 (0 = none), keys as the flags say: prefix, or start and end (exclusive).
                 Every pair found goes into the digest, and that it ended. Only the Python VM can scan
      WHEN       mask u8, bits u8, length u32, operations: executed if (last byte of the digest & mask) == bits
      UNDO       as WHEN, but always executed, in a checkpoint, and its writes undone if the condition holds afterwards
      REVERT     mask u8, bits u8, code u8 (not 0): the transaction fails with this code if the condition holds
      BURN       nanoseconds u64                   computes for so long
      SLEEP      nanoseconds u64                   waits for so long
      ADD        key, size u32, delta i64          adds to the counter in the first bytes, at most 16, of a value of `size`. Whether it did
                 goes into the digest; a value of another length fails the transaction, with code 4
    key          0x00, length u8 (not 0), bytes
                 0x01, length u8, bytes, n u32: the bytes, then (first eight bytes of the digest) mod n in eight digits

Integers are big endian. What does not parse to its last byte fails as "malformed" before anything is read.

The digest is 32 bytes: at first SHA-256(transaction); after each observation SHA-256(digest, what was observed), which is

    0x00 absent | 0x01 value | 0x02 does not exist | 0x03 exists
    0x04 key length u16, key, value: a pair of a scan | 0x05 the end of a scan
    0x06 not added, for it would be below 0 or more than it can hold | 0x07 added

It is the output of a transaction that succeeds: one wrong read shows in everything that follows.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ioi_exec import InputError

VERSION = 1
READ, EXISTS, WRITE, DELETE, SCAN, WHEN, UNDO, REVERT, BURN, SLEEP, ADD = range(1, 12)
REVERSE, START, END, PREFIX = 1, 2, 4, 8
"""The flags of a scan."""

SIZE_MAX = 1 << 24
"""Bytes of a value: more than any `Limits.value_bytes` of use, little enough to be made before it is refused."""
COUNTER_WIDTH_MAX = 16
"""Bytes of a counter."""
DELTA_MAX = (1 << 63) - 1
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
    delta: int = 0
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


def add(operand: bytes, size: int, delta: int) -> bytes:
    """size: bytes of the value, the counter and what follows it. Raises InputError for a value that is too large, or a delta."""
    if not 1 <= size <= SIZE_MAX or not -DELTA_MAX <= delta <= DELTA_MAX:
        raise InputError(f"{delta} in a value of {size} bytes: programs add at most {DELTA_MAX}, to values of 1 to {SIZE_MAX}")
    return b"\x0b" + operand + size.to_bytes(4, "big") + delta.to_bytes(8, "big", signed=True)


def delete(operand: bytes) -> bytes:
    return b"\x04" + operand


def scan(start: bytes = b"", end: bytes = b"", *, prefix: bytes = b"", limit: int = 0, reverse: bool = False) -> bytes:
    """start, end, prefix: key operands, b"" for none. limit: 0 for none. Raises InputError for prefix beside a bound."""
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
    return _operations(tx, 9, len(tx), 0)


# What follows reads at `at`, never at `end` or beyond, and says where it stopped. It copies nothing but names: parsing is
# most of what a cheap transaction costs.


def _operations(tx: bytes, at: int, end: int, depth: int) -> Operations:
    if depth > DEPTH_MAX:
        raise Malformed
    found = []
    while at < end:
        operation, at = _operation(tx, at, end, depth)
        found.append(operation)
    return tuple(found)


def _operation(tx: bytes, at: int, end: int, depth: int) -> tuple[Operation, int]:
    code = tx[at]
    at += 1
    if READ <= code <= DELETE:
        operand, at = _key(tx, at, end)
        if code != WRITE:
            return Operation(code, operand), at
        size, at = _number(tx, at, end, 4, SIZE_MAX)
        return Operation(code, operand, size), at
    if code == ADD:
        operand, at = _key(tx, at, end)
        size, at = _number(tx, at, end, 4, SIZE_MAX)
        delta, at = _number(tx, at, end, 8, (1 << 64) - 1)
        if size == 0 or delta == 1 << 63:
            raise Malformed
        return Operation(code, operand, size, delta - (delta >> 63 << 64)), at
    if code == BURN or code == SLEEP:
        nanoseconds, at = _number(tx, at, end, 8, COST_MAX_NS)
        return Operation(code, number=nanoseconds), at
    if code == SCAN:
        return _scan(tx, at, end)
    if not WHEN <= code <= REVERT or end - at < 3:
        raise Malformed
    mask, bits = tx[at], tx[at + 1]
    if code == REVERT:
        if tx[at + 2] == 0:
            raise Malformed
        return Operation(code, mask=mask, bits=bits, number=tx[at + 2]), at + 3
    length, at = _number(tx, at + 2, end, 4, end - at)
    if length > end - at:
        raise Malformed
    body = _operations(tx, at, at + length, depth + 1)
    return Operation(code, mask=mask, bits=bits, body=body), at + length


def _scan(tx: bytes, at: int, end: int) -> tuple[Operation, int]:
    flags, at = _number(tx, at, end, 1, 15)
    limit, at = _number(tx, at, end, 4, (1 << 32) - 1)
    if flags & PREFIX and flags & (START | END):
        raise Malformed
    low = high = None
    if flags & (START | PREFIX):
        low, at = _key(tx, at, end)
    if flags & END:
        high, at = _key(tx, at, end)
    return Operation(SCAN, number=limit, flags=flags, start=low, end=high), at


def _key(tx: bytes, at: int, end: int) -> tuple[Key, int]:
    if end - at < 2:
        raise Malformed
    kind, length = tx[at], tx[at + 1]
    stop = at + 2 + length
    if stop > end:
        raise Malformed
    name = tx[at + 2 : stop]
    if kind == 0 and length > 0:
        return Key(name), stop
    if kind != 1 or length > 247:
        raise Malformed
    numbers, stop = _number(tx, stop, end, 4, NUMBER_MAX)
    if numbers == 0:
        raise Malformed
    return Key(name, numbers), stop


def _number(tx: bytes, at: int, end: int, size: int, most: int) -> tuple[int, int]:
    stop = at + size
    if stop > end:
        raise Malformed
    value = int.from_bytes(tx[at:stop], "big")
    if value > most:
        raise Malformed
    return value, stop
