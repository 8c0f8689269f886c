"""Accounts that sign: the n-th has the same key in every world."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import coincurve
from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.numeric import U256, Uint

from ioi_exec.vm.ethereum.forks import CHAIN_ID

_FEE_MARKET = b"\x02"  # the type of a transaction, EIP-1559
_TIP = 10**9


@lru_cache(maxsize=1 << 17)
def _key(number: int) -> Any:
    return coincurve.PrivateKey(bytes(keccak256(b"ioi-stress account %d" % number)))


@lru_cache(maxsize=1 << 17)
def address(number: int) -> bytes:
    return bytes(keccak256(_key(number).public_key.format(compressed=False)[1:]))[12:]


def contract_address(name: str) -> bytes:
    return bytes(keccak256(b"ioi-stress contract " + name.encode()))[12:]


def signed(number: int, nonce: int, to: bytes, *, gas: int, value: int = 0, data: bytes = b"", base_fee: int) -> bytes:
    """A transaction of account `number`: the bytes that its hash is of. It pays a tip beside the base fee."""
    parts = [Uint(CHAIN_ID), Uint(nonce), Uint(_TIP), Uint(base_fee + _TIP), Uint(gas), to, U256(value), data, []]
    signature = _key(number).sign_recoverable(bytes(keccak256(_FEE_MARKET + rlp.encode(parts))), hasher=None)
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    return _FEE_MARKET + bytes(rlp.encode([*parts, Uint(signature[64]), U256(r), U256(s)]))
