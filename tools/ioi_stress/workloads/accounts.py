"""Workloads in which one account pays another: who pays whom is the subclass's, how it is written down is here.

On the Program VM a payment reads both accounts, takes its time, and writes both, or adds to the recipient's; on `payments` it is a transfer, with
the right nonce and a balance that suffices. One that fails pays more than anybody has, or reverts at its end."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Iterable, Mapping

from ioi_exec.vm.payments import (
    ACCOUNT_PREFIX,
    MAX_U128,
    encode_account,
    encode_transfer,
    sign_transfer,
)
from ioi_exec.vm.signatures import library, public_key
from ioi_stress.vm import encoding
from ioi_stress.workloads.base import ACCOUNTS_MAX, FailingWorkload, runs_on_parameter
from ioi_stress.workloads.draws import Draws
from ioi_stress.workloads.parameters import TEXT, parameter

AMOUNT_MAX = 1000


@dataclass(frozen=True, kw_only=True)
class AccountWorkload(FailingWorkload):
    """Payments between numbered accounts."""

    runs_on: str = runs_on_parameter("native", "python", "payments", "signed")
    accounts: int | None = parameter(10_000, least=2, most=ACCOUNTS_MAX, help="accounts")
    credit: str = parameter(
        "write", kind=TEXT, metavar="HOW", choices=("write", "add"),
        help="how programs credit the recipient: write: read and written; add: added to, which conflicts with no other add",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runs_on == "signed":
            try:
                library()
            except ImportError as error:
                raise self._wrong(str(error)) from None
        if self.vm == "payments" and self.cost_us:
            raise self._wrong(
                "cost_us is for programs, and payments takes what it takes: leave it out, or give vm native or python"
            )

        if self.credit == "add" and (self.vm == "payments" or self.value_bytes == 0):
            raise self._wrong("credit is for programs that write values: payments adds in any case")

    @abstractmethod
    def _transfers(self, block: int, fails: list[bool], draws: Draws) -> Iterable[tuple[int, int]]:
        """(sender, recipient) of each transaction of a block: two different accounts."""

    @property
    def _total(self) -> int:
        """How many accounts there are."""
        assert self.accounts is not None
        return self.accounts

    def _label(self, account: int) -> bytes:
        """What an account is called: its key on the Program VM, and its address on `payments` the SHA-256 of it; on `signed` that is its
        secret, and its address the key to that."""
        return b"account/%08d" % account

    def _balance(self, account: int) -> int:
        """On `payments`, at genesis: enough for everything, if need be."""
        return AMOUNT_MAX * self._transactions

    def _amount(self, draws: Draws) -> int:
        return 1 + draws.below(AMOUNT_MAX)

    @property
    def _values(self) -> int:
        return 0 if self.vm == "payments" else self._total

    def _state(self) -> Mapping[bytes, bytes]:
        numbers, label = range(self._total), self._label
        if self.vm == "payments":
            account, balance = lru_cache(8)(encode_account), self._balance  # there are few different ones
            return {ACCOUNT_PREFIX + self._address(n): account(balance(n)) for n in numbers}
        return {label(n): self._value(n) for n in numbers}

    def _block(self, number: int, fails: list[bool], memory: dict[int, int]) -> list[bytes]:
        transfers = self._transfers(number, fails, self._draws("accounts", number))
        if self.vm == "payments":
            return self._payments(number, fails, transfers, memory)
        return self._programs(number, fails, transfers)

    def _programs(self, number: int, fails: list[bool], transfers: Iterable[tuple[int, int]]) -> list[bytes]:
        key, label, first, size = encoding.key, self._label, number * self.block_size, self.value_bytes
        txs = []
        for i, (sender, recipient) in enumerate(transfers):
            source, target = key(label(sender)), key(label(recipient))
            reads, writes = [encoding.read(source)], [encoding.write(source, size)]
            if self.credit == "add":
                writes.append(encoding.add(target, size, 1))
            else:
                reads.append(encoding.read(target))
                writes.append(encoding.write(target, size))
            txs.append(self._transaction(first + i, reads, writes, fails[i]))
        return txs

    def _payments(
        self, number: int, fails: list[bool], transfers: Iterable[tuple[int, int]], nonces: dict[int, int]
    ) -> list[bytes]:
        draws, address = self._draws("amounts", number), lru_cache(1 << 16)(self._address)
        txs = []
        for fail, (sender, recipient) in zip(fails, transfers):
            nonce = nonces.get(sender, 0)
            amount = self._amount(draws)
            if fail:
                amount = MAX_U128
            else:
                nonces[sender] = nonce + 1
            tx = encode_transfer(address(sender), address(recipient), amount, nonce=nonce)
            txs.append(sign_transfer(tx, self._secret(sender)) if self.runs_on == "signed" else tx)
        return txs

    def _address(self, account: int) -> bytes:
        return public_key(self._secret(account)) if self.runs_on == "signed" else self._secret(account)

    def _secret(self, account: int) -> bytes:
        """On `signed`; elsewhere the address itself."""
        return sha256(self._label(account)).digest()
