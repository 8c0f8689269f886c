"""The access list of a block after EIP-7928: which accounts and slots it looks at, and what each of its steps leaves there.

    [[address, storage changes, storage reads, balance changes, nonce changes, code changes], ...]

by address; storage changes are [slot, [[step, value], ...]], the others [step, value]. Steps are 0 for what the block does before its
transactions, 1 to n for these, and n + 1 for what it does after. It is made of the block executed one by one, over a state that notes what is
asked of it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException
from ethereum_types.numeric import Uint

from ioi_exec.ethereum.one_by_one import Done, Pairs, run_one_by_one
from ioi_exec.files.ethereum import EthereumFile
from ioi_exec.files.strict_json import Malformed
from ioi_exec.vm.ethereum import genesis, keys
from ioi_exec.vm.ethereum.keys import ADDRESS_BYTES, SLOT_BYTES

Change = tuple[int, int]


@dataclass
class Accessed:
    """One account. storage: by slot; of slots that only were read, no changes. Changes: (step, value), ascending."""

    storage: dict[bytes, list[Change]] = field(default_factory=dict)
    balances: list[Change] = field(default_factory=list)
    nonces: list[Change] = field(default_factory=list)
    codes: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class AccessList:
    accounts: Mapping[bytes, Accessed]

    def encode(self) -> bytes:
        """RLP, in the order that the EIP wants."""
        data: bytes = rlp.encode([_listed(address, accessed) for address, accessed in sorted(self.accounts.items())])
        return data

    @property
    def hash(self) -> bytes:
        """That headers have (`blockAccessListHash`)."""
        return bytes(keccak256(self.encode()))

    @classmethod
    def decode(cls, data: bytes) -> AccessList:
        """Raises Malformed where it is none; what it says may be anything."""
        accounts: dict[bytes, Accessed] = {}
        try:
            for address, changed, read, balances, nonces, codes in _lists(rlp.decode(data)):
                if len(_bytes(address)) != ADDRESS_BYTES:
                    raise ValueError
                storage = {_slot(slot): _changes(changes) for slot, changes in _lists(changed)}
                storage.update({_slot(slot): [] for slot in _list(read)})
                accounts[address] = Accessed(storage, _changes(balances), _changes(nonces), [(_int(at), _bytes(code)) for at, code in _lists(codes)])
        except (ValueError, TypeError, RLPException):
            raise Malformed("it is no access list of EIP-7928") from None
        return cls(accounts)

    def keys(self) -> list[bytes]:
        """Of the state, that the block will look at: hints for `execute`. A code's key is not among them: the list says no hashes."""
        found = []
        for address, accessed in self.accounts.items():
            found.append(keys.account_key(address))
            found += (keys.storage_key(address, slot) for slot in accessed.storage)
        return found


def make_access_list(file: EthereumFile) -> tuple[AccessList, Done]:
    """Of a block, and what it came to. Raises Diverged."""
    state = _Noting(dict(genesis(file.prestate)), bytes(file.block.header.coinbase))
    done = run_one_by_one(file.block, file.transactions, state, on_step=state.next)
    state.next(-1)
    return AccessList(dict(state.accounts)), done


class _Noting(Pairs):
    """Notes what is looked at, and at each step's end what it changed."""

    def __init__(self, pairs: dict[bytes, bytes], beneficiary: bytes) -> None:
        super().__init__(pairs)
        self.accounts: defaultdict[bytes, Accessed] = defaultdict(Accessed)
        self._beneficiary = beneficiary
        self._step = 0
        self._before: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        self._look(key)
        return super().get(key)

    def note_slot(self, address: bytes, slot: bytes) -> None:
        """It was looked at, of an account whose storage is gone."""
        self.accounts[address].storage.setdefault(slot, [])

    def put(self, key: bytes, value: bytes) -> None:
        self._change(key)
        super().put(key, value)

    def delete(self, key: bytes) -> None:
        self._change(key)
        super().delete(key)

    def next(self, step: int) -> None:
        """The step that begins now, after the one before."""
        before, self._before = self._before, {}
        touched = {address for key in before if (address := keys.address_of(key)) is not None}
        if keys.FEES in before and (before[keys.FEES] is not None or keys.FEES in self.pairs):  # paid, be it nothing
            touched.add(self._beneficiary)
        for address in touched:
            (nonce, balance, code), (nonce_now, balance_now, code_now) = self._account(address, before), self._account(address, {})
            accessed = self.accounts[address]
            if balance != balance_now:
                accessed.balances.append((self._step, balance_now))
            if nonce != nonce_now:
                accessed.nonces.append((self._step, nonce_now))
            if code != code_now:
                accessed.codes.append((self._step, b"" if code_now == keys.NO_CODE else self.pairs[keys.code_key(code_now)]))
        for key, value in before.items():
            if (found := keys.slot_of(key)) is not None and value != (now := self.pairs.get(key)):
                self.accounts[found[0]].storage[found[1]].append((self._step, int.from_bytes(now or b"", "big")))
        self._step = step

    def _look(self, key: bytes) -> None:
        if (address := keys.address_of(key)) is not None:
            self.accounts[address]
        elif (found := keys.slot_of(key)) is not None:
            self.note_slot(*found)

    def _change(self, key: bytes) -> None:
        self._look(key)
        self._before.setdefault(key, self.pairs.get(key))

    def _account(self, address: bytes, before: Mapping[bytes, bytes | None]) -> tuple[int, int, bytes]:
        """Nonce, balance with what is still to be paid, and hash of the code. before: of keys that have changed, how they were."""
        key = keys.account_key(address)
        packed = before.get(key, self.pairs.get(key))
        nonce, balance, code_hash = (0, 0, keys.NO_CODE) if packed is None else keys.unpack_account(packed)
        if address == self._beneficiary:
            balance += int.from_bytes(before.get(keys.FEES, self.pairs.get(keys.FEES)) or b"", "big")
        return nonce, balance, code_hash


def _listed(address: bytes, accessed: Accessed) -> list[Any]:
    changed = [[_uint(slot), _encoded(changes)] for slot, changes in sorted(accessed.storage.items()) if changes]
    read = [_uint(slot) for slot, changes in sorted(accessed.storage.items()) if not changes]
    codes = [[Uint(at), code] for at, code in accessed.codes]
    return [address, changed, read, _encoded(accessed.balances), _encoded(accessed.nonces), codes]


def _encoded(changes: Sequence[Change]) -> list[list[Uint]]:
    return [[Uint(at), Uint(value)] for at, value in changes]


def _uint(slot: bytes) -> Uint:
    return Uint(int.from_bytes(slot, "big"))


def _changes(said: Any) -> list[Change]:
    return [(_int(at), _int(value)) for at, value in _lists(said)]


def _slot(said: Any) -> bytes:
    if len(_bytes(said)) > SLOT_BYTES:
        raise ValueError
    return _bytes(said).rjust(SLOT_BYTES, b"\0")


def _int(said: Any) -> int:
    return int.from_bytes(_bytes(said), "big")


def _bytes(said: Any) -> bytes:
    if not isinstance(said, bytes):
        raise ValueError
    return said


def _list(said: Any) -> Sequence[Any]:
    if isinstance(said, bytes):
        raise ValueError
    found: Sequence[Any] = said
    return found


def _lists(said: Any) -> list[Sequence[Any]]:
    return [_list(one) for one in _list(said)]
