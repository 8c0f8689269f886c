"""The state before a block, from what a node's prestateTracer says of each of its transactions.

A transaction is traced after those before it, so what it says of an account or a slot is the state before the block only where nothing
changed it until then: the first mention in the order of the block counts. The default mode mentions all that was looked at, with the values
before; but an account that was empty it leaves out, and a later transaction mentions it as the earlier one left it. That one is in the
`post` of diffMode, without having been mentioned: so it was empty, and so were its slots.
"""

from __future__ import annotations

from typing import Any, Collection, Sequence

from ioi_exec.files.ethereum_values import account as account_from_json
from ioi_exec.files.ethereum_values import data, word
from ioi_exec.files.strict_json import json_object
from ioi_exec.vm.ethereum.keys import ADDRESS_BYTES, Account


class Known:
    """What is known of the state before a block. accounts: without their storage; an empty one may be there or not, and
    None is not. slots: by address and slot."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, Account | None] = {}
        self.slots: dict[tuple[bytes, bytes], int] = {}
        self.doubted_slots: dict[tuple[bytes, bytes], None] = {}
        """Those that a trace mentions of accounts whose trace counts for nothing."""

    def slot(self, address: bytes, slot: bytes) -> int | None:
        """None: it is not known. Who is empty has no storage."""
        found = self.slots.get((address, slot))
        return 0 if found is None and self.is_empty(address) else found

    def is_empty(self, address: bytes) -> bool:
        return self.accounts.get(address, ...) in (None, Account())

    def merge(self, traced: Sequence[Any], changed: Sequence[Any], doubted: Sequence[Collection[bytes]], never: Collection[bytes]) -> None:
        """traced, changed: of each transaction, in the default mode and in diffMode. What is known already stays.

        doubted: accounts that each transaction may change without its trace saying so: where it does not mention them, what later ones say
        counts for nothing. never: those of whom no trace counts, since something else than transactions changes them, too.
        Raises Malformed."""
        ignored = set(never)
        for index, (before, diff) in enumerate(zip(traced, changed)):
            what = f"the trace of transaction {index}"
            diff = json_object(diff, what)
            pre, post = (json_object(diff.get(name), f"{what}: {name}") for name in ("pre", "post"))
            for found in (before, pre):
                self._first(json_object(found, what), ignored, what)
            for address, said in _by_address(post, what):
                if address in ignored:
                    continue
                self.accounts.setdefault(address, Account())
                if not self.is_empty(address):
                    for slot in json_object(json_object(said, what).get("storage") or {}, what):
                        self.slots.setdefault((address, word(slot, what)), 0)  # diffMode leaves those out that were 0
            ignored.update(address for address in doubted[index] if address not in self.accounts)

    def _first(self, said: dict[str, Any], ignored: Collection[bytes], what: str) -> None:
        for address, one in _by_address(said, what):
            account = account_from_json(one, f"{what}: account {address.hex()}")
            if address in ignored:
                self.doubted_slots.update(((address, slot), None) for slot in account.storage)
                continue
            self.accounts.setdefault(address, Account(account.nonce, account.balance, account.code))
            if not self.is_empty(address):
                for slot, value in account.storage.items():
                    self.slots.setdefault((address, slot), value)

    def prestate(self) -> dict[bytes, Account]:
        """Of all that are there."""
        storage: dict[bytes, dict[bytes, int]] = {address: {} for address, account in self.accounts.items() if account is not None}
        for (address, slot), value in self.slots.items():
            if value and address in storage:
                storage[address][slot] = value
        return {
            address: Account(account.nonce, account.balance, account.code, storage[address])
            for address, account in self.accounts.items()
            if account is not None
        }


def _by_address(said: dict[str, Any], what: str) -> list[tuple[bytes, Any]]:
    return [(data(address, f"{what}: an address", ADDRESS_BYTES), one) for address, one in said.items()]
