"""Keys and values of the state.

    a<address>              account: nonce (8 bytes), balance (32), hash of its code (32). Absent: there is none.
    c<hash>                 code, by its Keccak-256. Never deleted, so nothing that reads it conflicts.
    s<address><slot>        storage: the value without leading zeros. Absent: 0.
    f                       what the block's transactions have paid the beneficiary so far (16 bytes). Only within a block.

Numbers are big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Iterator, Mapping

from ethereum.crypto.hash import keccak256

ADDRESS_BYTES, SLOT_BYTES = 20, 32
FEES, FEES_BYTES = b"f", 16
NO_CODE = bytes(keccak256(b""))

_NONCE_BYTES, _BALANCE_BYTES = 8, 32


@dataclass(frozen=True)
class Account:
    """An account as a pre-state gives it. storage: 32 bytes to a number that is not 0."""

    nonce: int = 0
    balance: int = 0
    code: bytes = b""
    storage: Mapping[bytes, int] = field(default_factory=dict)


def account_key(address: bytes) -> bytes:
    return b"a" + address


def address_of(key: bytes) -> bytes | None:
    """Of an account's key; None if it is another's."""
    return key[1:] if key[:1] == b"a" else None


def slot_of(key: bytes) -> tuple[bytes, bytes] | None:
    """address and slot, of a key of storage; None if it is another's."""
    at = 1 + ADDRESS_BYTES
    return (key[1:at], key[at:]) if key[:1] == b"s" else None


def code_key(code_hash: bytes) -> bytes:
    return b"c" + code_hash


def storage_prefix(address: bytes) -> bytes:
    return b"s" + address


def storage_key(address: bytes, slot: bytes) -> bytes:
    return b"s" + address + slot


def pack_account(nonce: int, balance: int, code_hash: bytes) -> bytes:
    return nonce.to_bytes(_NONCE_BYTES, "big") + balance.to_bytes(_BALANCE_BYTES, "big") + code_hash


def unpack_account(value: bytes) -> tuple[int, int, bytes]:
    """nonce, balance, hash of the code."""
    at = _NONCE_BYTES + _BALANCE_BYTES
    return int.from_bytes(value[:_NONCE_BYTES], "big"), int.from_bytes(value[_NONCE_BYTES:at], "big"), value[at:]


def pack_number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def genesis(accounts: Mapping[bytes, Account] | Iterable[tuple[bytes, Account]]) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of a state that has these accounts, by address."""
    for address, account in accounts.items() if isinstance(accounts, Mapping) else accounts:
        code_hash = bytes(keccak256(account.code)) if account.code else NO_CODE
        yield account_key(address), pack_account(account.nonce, account.balance, code_hash)
        if account.code:
            yield code_key(code_hash), account.code
        for slot, value in account.storage.items():
            if value:
                yield storage_key(address, slot), pack_number(value)
