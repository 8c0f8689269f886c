"""The root of Ethereum's own tree over a whole state: a Merkle Patricia trie of accounts, each with the root of a trie of its slots.

It is computed from nothing, by the specification's functions, in time linear in the state: for states of tests, and not of mainnet."""

from __future__ import annotations

from typing import Mapping

from ethereum_types.bytes import Bytes20, Bytes32
from ethereum_types.numeric import U256, Uint

from ioi_exec.vm.ethereum import keys
from ioi_exec.vm.ethereum.forks import Fork


def ethereum_state_root(fork: Fork, pairs: Mapping[bytes, bytes]) -> bytes:
    """pairs: all of a state, by the keys of keys.py."""
    rules = fork.state
    state = rules.State()
    for key, value in pairs.items():
        if (address := keys.address_of(key)) is not None:
            nonce, balance, code_hash = keys.unpack_account(value)
            code = b"" if code_hash == keys.NO_CODE else pairs[keys.code_key(code_hash)]
            rules.set_account(state, Bytes20(address), rules.Account(Uint(nonce), U256(balance), code))
    for key, value in pairs.items():
        if (slot := keys.slot_of(key)) is not None and rules.account_exists(state, Bytes20(slot[0])):
            rules.set_storage(state, Bytes20(slot[0]), Bytes32(slot[1]), U256(int.from_bytes(value, "big")))
    return bytes(rules.state_root(state))
