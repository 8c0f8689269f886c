"""The state as the specification has it, of one transaction: read as it is needed, written at the end.

The specification keeps a state in dictionaries: of accounts, and of storage by account. It copies them wherever what follows may be
undone, which is at every call. Here such a dictionary holds what the transaction changed, and what it lacks is read from the engine,
once: so copies are small, and the transaction conflicts over what it looked at and no more.

Fees are lazy. Paying the beneficiary in each transaction would make each depend on the one before; so what it is paid is added to a counter,
where adds commute, unless its code looked at the beneficiary, and the block's end pays it out. Whoever looks (Beneficiary tells the
specification's own crediting from that) sees the account with the fees of all transactions before, and if it changes it, these are paid into
it. So what the account and the counter say together is at every moment what the specification says.
"""

from __future__ import annotations

from typing import Any, Iterable

from ethereum.crypto.hash import keccak256
from ethereum_types.bytes import Bytes20
from ethereum_types.numeric import U256, Uint

from ioi_exec.vm.ethereum import keys
from ioi_exec.vm.ethereum.forks import Fork
from ioi_exec.vm.protocol import StateView

_ZERO = U256(0)
_UNCHANGED = object()


class Beneficiary(Bytes20):  # type: ignore[misc]
    """The address by which the specification credits fees: equal to the same address, and told from it by its type. What the EVM
    computes is never of this type."""


class Below:
    """The engine's state, with what was read of it, for one transaction. Where it has a `note_slot(address, slot)`, that is told of slots whose
    value is known without asking, since the account was just made or destroyed."""

    def __init__(self, fork: Fork, state: StateView, beneficiary: bytes) -> None:
        self.fork = fork
        self.state = state
        self.beneficiary = beneficiary
        self.looked_at_beneficiary = False
        self.paid: Any = None
        """The account that the specification credited fees to, while the beneficiary itself was not looked at: its balance is the fees."""
        self._accounts: dict[bytes, Any] = {}
        self._code_hashes: dict[bytes, bytes] = {}
        self._slots: dict[tuple[bytes, bytes], Any] = {}
        self.note_slot = getattr(state, "note_slot", None)

    def account(self, address: bytes) -> Any:
        """The specification's account, or None."""
        found = self._accounts.get(address, _UNCHANGED)
        if found is _UNCHANGED:
            found = self._accounts[address] = self._read(address)
        return found

    def _read(self, address: bytes) -> Any:
        packed = self.state.get(keys.account_key(bytes(address)))
        nonce, balance, code_hash = (0, 0, keys.NO_CODE) if packed is None else keys.unpack_account(packed)
        exists = packed is not None
        if address == self.beneficiary:
            assert self.paid is None, "the beneficiary was looked at after it had been paid"
            self.looked_at_beneficiary = True
            if (fees := self.state.get(keys.FEES)) is not None:
                balance, exists = balance + int.from_bytes(fees, "big"), True
        if not exists:
            return None
        code: bytes | None = b""
        if code_hash != keys.NO_CODE:
            code = self.state.get(keys.code_key(code_hash))
            if code is None:
                raise RuntimeError(f"the state has no code {code_hash.hex()}, which account {address.hex()} has")
        self._code_hashes[address] = code_hash
        return self.fork.state.Account(Uint(nonce), U256(balance), code)

    def slot(self, address: bytes, slot: bytes) -> Any:
        found = self._slots.get((address, slot))
        if found is None:
            packed = self.state.get(keys.storage_key(bytes(address), bytes(slot)))
            found = self._slots[address, slot] = _ZERO if packed is None else U256(int.from_bytes(packed, "big"))
        return found

    def slots_of(self, address: bytes) -> Iterable[bytes]:
        prefix = keys.storage_prefix(bytes(address))
        return (key[len(prefix) :] for key, _ in self.state.scan(prefix=prefix))

    def write_account(self, address: bytes, account: Any) -> None:
        before = self.account(address)
        if account == before:
            return
        if address == self.beneficiary:
            self.state.delete(keys.FEES)
        if account is None:
            self.state.delete(keys.account_key(address))
            return
        if before is not None and account.code == before.code:
            code_hash = self._code_hashes[address]
        elif account.code:
            code_hash = bytes(keccak256(account.code))
            self.state.put(keys.code_key(code_hash), bytes(account.code))
        else:
            code_hash = keys.NO_CODE
        self.state.put(keys.account_key(address), keys.pack_account(int(account.nonce), int(account.balance), code_hash))

    def pay(self) -> None:
        """The fees, whoever the beneficiary is."""
        fees, self.paid = int(self.paid.balance), None
        if not self.state.add(keys.FEES, fees, width=keys.FEES_BYTES):
            # More than the counter holds, and than there is on mainnet: at once, and so depending on what stands there.
            before = self.account(self.beneficiary) or self.fork.state.EMPTY_ACCOUNT
            self.write_account(self.beneficiary, self.fork.state.Account(before.nonce, before.balance + U256(fees), before.code))

    def write_storage(self, address: bytes, slots: Slots) -> None:
        if slots.cleared:
            for slot in list(self.slots_of(address)):
                if not dict.get(slots, slot):
                    self.state.delete(keys.storage_key(address, slot))
        for slot, value in dict.items(slots):
            key = keys.storage_key(address, bytes(slot))
            if value:
                if slots.cleared or value != self.slot(address, slot):
                    self.state.put(key, keys.pack_number(int(value)))
            elif not slots.cleared and self.slot(address, slot):
                self.state.delete(key)


class Accounts(dict[Any, Any]):
    """The accounts that the transaction changed, None where it deleted one, over those below."""

    def __init__(self, below: Below) -> None:
        self._below = below

    def __copy__(self) -> Accounts:
        copied = Accounts(self._below)
        dict.update(copied, self)
        return copied

    def get(self, address: Any, default: Any = None) -> Any:
        if type(address) is Beneficiary and not self._below.looked_at_beneficiary:
            return self._below.paid
        found = dict.get(self, address, _UNCHANGED)
        return self._below.account(address) if found is _UNCHANGED else found

    def __contains__(self, address: object) -> bool:
        return True  # it is asked before a deletion, which has to be noted

    def __setitem__(self, address: Any, account: Any) -> None:
        if type(address) is Beneficiary and not self._below.looked_at_beneficiary:
            self._below.paid = account
        else:
            dict.__setitem__(self, address, account)

    def __delitem__(self, address: Any) -> None:
        self[address] = None

    def items(self) -> Any:
        """Nothing: the specification asks for the roots of states in between, before Byzantium, and has an empty state's."""
        return ()


class Slots(dict[Any, Any]):
    """The slots of an account that the transaction changed, over those below. cleared: all that are below are gone."""

    def __init__(self, below: Below, address: bytes, cleared: bool = False) -> None:
        self._below = below
        self._address = address
        self.cleared = cleared

    def __copy__(self) -> Slots:
        copied = Slots(self._below, self._address, self.cleared)
        dict.update(copied, self)
        return copied

    def get(self, slot: Any, default: Any = None) -> Any:
        found = dict.get(self, slot)
        if found is not None:
            return found
        if not self.cleared:
            return self._below.slot(self._address, slot)
        if self._below.note_slot is not None:
            self._below.note_slot(self._address, bytes(slot))
        return _ZERO

    def __contains__(self, slot: object) -> bool:
        return True

    def __delitem__(self, slot: Any) -> None:
        self[slot] = _ZERO

    def __eq__(self, other: object) -> bool:
        return False  # it is asked whether it is empty: there may be slots below

    __hash__ = None

    def any(self) -> bool:
        """Whether any slot has a value."""
        if any(dict.values(self)):
            return True
        return not self.cleared and any(not dict.__contains__(self, slot) for slot in self._below.slots_of(self._address))


class Storages(dict[Any, Any]):
    """The storage of accounts, a trie of Slots each, made as it is asked for."""

    def __init__(self, below: Below, tries: Iterable[tuple[Any, Any]] = ()) -> None:
        dict.__init__(self, tries)
        self._below = below

    def get(self, address: Any, default: Any = None) -> Any:
        found = dict.get(self, address)
        if found is None:
            found = self._new(address, cleared=False)
        return found

    def _new(self, address: Any, cleared: bool) -> Any:
        found = self._below.fork.state.Trie(secured=True, default=_ZERO, _data=Slots(self._below, bytes(address), cleared))
        dict.__setitem__(self, address, found)
        return found

    def items(self) -> Any:
        """Those that were changed: what is copied at every call, and written at the end."""
        return [(address, trie) for address, trie in dict.items(self) if trie._data.cleared or dict.__len__(trie._data)]

    def __contains__(self, address: object) -> bool:
        if type(address) is Beneficiary:  # which it asks of an account that it is about to delete, being empty
            return False
        slots: Slots = self.get(address)._data
        return slots.any()

    def __delitem__(self, address: Any) -> None:
        self._new(address, cleared=True)


class _Snapshots(list[Any]):
    """Snapshots, whose storage the specification copies into a plain dictionary."""

    def __init__(self, below: Below) -> None:
        self._below = below

    def append(self, snapshot: Any) -> None:
        accounts, storages = snapshot
        list.append(self, (accounts, Storages(self._below, storages.items())))


def lazy_state(below: Below) -> Any:
    """A State of the specification over the engine's."""
    accounts = below.fork.state.Trie(secured=True, default=None, _data=Accounts(below))
    return below.fork.state.State(_main_trie=accounts, _storage_tries=Storages(below), _snapshots=_Snapshots(below))


def write(below: Below, state: Any) -> None:
    """Into the engine's state what was made of it."""
    for address, account in dict.items(state._main_trie._data):
        below.write_account(bytes(address), account)
    for address, trie in state._storage_tries.items():
        below.write_storage(bytes(address), trie._data)
    if below.paid is not None and not below.looked_at_beneficiary:
        below.pay()
