"""The contracts of generated worlds: their code, what stands in their storage, and what a transaction says to call them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Iterable, Sequence

from ethereum.crypto.hash import keccak256

from ioi_exec.vm.ethereum.keys import Account
from ioi_stress.evm.assembler import assemble

WORD = 32
EVER = (1 << 256) - 1
"""An allowance that does not become less."""
_BALANCES, _ALLOWANCES, _SUPPLY = range(3)
_TOKENS, _RESERVES = 0, 2


@lru_cache(maxsize=None)
def code(name: str) -> bytes:
    """name: "token" or "pool", of a source beside this file."""
    return assemble((Path(__file__).parent / f"{name}.easm").read_text("utf-8"))


def word(value: int | bytes) -> bytes:
    return value.to_bytes(WORD, "big") if isinstance(value, int) else value.rjust(WORD, b"\0")


def calldata(signature: str, *arguments: int | bytes) -> bytes:
    """signature: as "transfer(address,uint256)". arguments: addresses as bytes, all else as numbers."""
    return bytes(keccak256(signature.encode()))[:4] + b"".join(map(word, arguments))


def balance_slot(account: bytes) -> bytes:
    return bytes(keccak256(word(account) + word(_BALANCES)))


def allowance_slot(owner: bytes, spender: bytes) -> bytes:
    return bytes(keccak256(word(spender) + keccak256(word(owner) + word(_ALLOWANCES))))


def token(holders: Sequence[bytes], each: int, spends: Iterable[tuple[bytes, bytes]] = ()) -> Account:
    """A token of which each of `holders` has `each`. spends: (owner, spender), who may spend all of it."""
    storage = {word(_SUPPLY): each * len(holders)}
    storage.update({balance_slot(holder): each for holder in holders})
    storage.update({allowance_slot(owner, spender): EVER for owner, spender in spends})
    return Account(1, 0, code("token"), storage)


def pool(tokens: tuple[bytes, bytes], each: int) -> Account:
    """A pool that has `each` of both tokens, as these must say, too."""
    places = [(_TOKENS + at, int.from_bytes(address, "big")) for at, address in enumerate(tokens)]
    return Account(1, 0, code("pool"), {word(at): value for at, value in (*places, (_RESERVES, each), (_RESERVES + 1, each))})
