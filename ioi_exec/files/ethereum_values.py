"""Values as JSON of Ethereum has them: bytes and numbers in hex after 0x, accounts. Whoever reads one says what it is, for the message of the
Malformed that all of these raise."""

from __future__ import annotations

import ioi_exec.vm.ethereum  # noqa: F401

# isort: split
import re
from typing import Any, NoReturn

from ethereum.crypto.hash import keccak256

from ioi_exec.files.strict_json import Malformed, json_object
from ioi_exec.vm.ethereum.keys import Account

_HEX = re.compile(r"0[xX][0-9a-fA-F]*")
_DECIMAL = re.compile(r"[0-9]{1,78}")


def array(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(value, what, "a list")
    return value


def objects(value: Any, what: str) -> list[dict[str, Any]]:
    return [json_object(one, f"{what}: each") for one in array(value, what)]


def data(value: Any, what: str, size: int | None = None) -> bytes:
    """size: how many bytes it has; None: any number."""
    if not isinstance(value, str) or not _HEX.fullmatch(value) or len(value) % 2:
        _refuse(value, what, "bytes as 0x and an even number of hex digits")
    if size is not None and len(value) != 2 + 2 * size:
        raise Malformed(f"{what} has {len(value) // 2 - 1} bytes: {size} are wanted")
    return bytes.fromhex(value[2:])


def number(value: Any, what: str, bits: int) -> int:
    """From 0x and hex digits, decimal digits, or a number."""
    if isinstance(value, str) and len(value) <= 80:
        if _HEX.fullmatch(value) and len(value) > 2:
            value = int(value, 16)
        elif _DECIMAL.fullmatch(value):
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _refuse(value, what, "a number as 0x and hex digits")
    if value >> bits:
        raise Malformed(f"{what} is too large: it has at most {bits} bits")
    return value


def minimal(value: Any, what: str) -> bytes:
    """A number without leading zeros."""
    found = number(value, what, 256)
    return found.to_bytes((found.bit_length() + 7) // 8, "big")


def word(value: Any, what: str) -> bytes:
    """A number of 32 bytes."""
    return number(value, what, 256).to_bytes(32, "big")


def account(said: Any, what: str) -> Account:
    """Of a pre-state. Other fields than it has are passed over."""
    one = json_object(said, what)
    code = data(one["code"], f"{what}: code") if one.get("code") is not None else b""
    if one.get("codeHash") is not None and data(one["codeHash"], f"{what}: codeHash", 32) != bytes(keccak256(code)):
        raise Malformed(f"{what}: its code does not have its codeHash: it was changed, or is missing")
    storage: dict[bytes, int] = {}
    for slot, value in json_object(one.get("storage") or {}, f"{what}: storage").items():
        if (key := word(slot, f"{what}: a slot")) in storage:
            raise Malformed(f"{what}: slot {key.hex()} occurs twice")
        storage[key] = number(value, f"{what}: slot {key.hex()}", 256)
    return Account(number(one.get("nonce", 0), f"{what}: nonce", 64), number(one.get("balance", 0), f"{what}: balance", 256), code, storage)


def _refuse(value: Any, what: str, wanted: str) -> NoReturn:
    if value is None:
        raise Malformed(f"{what} is missing")
    shown = ascii(value) if isinstance(value, (str, int)) else f"of type {type(value).__name__}"
    raise Malformed(f"{what} is {shown if len(shown) <= 60 else shown[:57] + '...'}: {wanted} is wanted")
