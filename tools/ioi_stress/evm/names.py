"""Keys of the state of Ethereum as people read them: `account 0x...`, `slot 2[0x...] of 0x...`."""

from __future__ import annotations

from functools import cached_property
from typing import Sequence

from ethereum.crypto.hash import keccak256

from ioi_exec.vm.ethereum.keys import ADDRESS_BYTES, FEES, SLOT_BYTES, account_key, code_key, storage_prefix
from ioi_stress.notation.keys import WIDTH, readable, shortened

_ACCOUNT, _CODE, _STORAGE = account_key(b""), code_key(b""), storage_prefix(b"")
_MAPPINGS = 24
"""Slots that a mapping from addresses is looked for at: more than most contracts have variables."""
_NUMBERED = 1 << 32
_SHORT = 14
_WIDTH = 84
"""Of a slot of a mapping, with the address of its contract whole."""


class Names:
    """keys: all that there are. Solidity has what a mapping at slot n has for x in the slot keccak(x . n): where x is an account of `keys`
    and n is small, that is said as n[x]."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def __call__(self, key: bytes, width: int = WIDTH) -> str:
        """At most `width` characters, the middle of addresses or of all left out; whole addresses of contracts where nothing is asked for."""
        width = _WIDTH if width == WIDTH else width
        if key == FEES:
            return "fees of the block"
        kind, rest = key[:1], key[1:]
        if kind == _ACCOUNT and len(rest) == ADDRESS_BYTES:
            return shortened(f"account 0x{rest.hex()}", width)
        if kind == _CODE and len(rest) == SLOT_BYTES:
            return shortened(f"code 0x{rest.hex()}", width)
        if kind == _STORAGE and len(rest) == ADDRESS_BYTES + SLOT_BYTES:
            return self._slot(rest[:ADDRESS_BYTES], rest[ADDRESS_BYTES:], width)
        return readable(key, width)

    def _slot(self, address: bytes, slot: bytes, width: int) -> str:
        contract, number = f"0x{address.hex()}", int.from_bytes(slot, "big")
        if number < _NUMBERED:
            at, short = str(number), str(number)
        elif slot in self._entries:
            mapping, entry = self._entries[slot]
            at, short = (f"{mapping}[{each}]" for each in (f"0x{entry.hex()}", shortened(f"0x{entry.hex()}", _SHORT)))
        else:
            at, short = f"0x{slot.hex()}", shortened(f"0x{slot.hex()}", _SHORT)
        for said in (f"slot {at} of {contract}", f"slot {short} of {contract}"):
            if len(said) <= width:
                return said
        return shortened(f"slot {short} of {shortened(contract, _SHORT)}", width)

    @cached_property
    def _entries(self) -> dict[bytes, tuple[int, bytes]]:
        """By slot: of which mapping, and whose."""
        accounts = [key[1:] for key in self._keys if key[:1] == _ACCOUNT and len(key) == 1 + ADDRESS_BYTES]
        return {
            bytes(keccak256(account.rjust(SLOT_BYTES, b"\0") + mapping.to_bytes(SLOT_BYTES, "big"))): (mapping, account)
            for account in accounts
            for mapping in range(_MAPPINGS)
        }
