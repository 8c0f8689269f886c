"""What the demo and the benchmarks execute: seeded payments, and a VM in Python of a chosen cost."""

from __future__ import annotations

import hashlib
import random
from typing import Sequence

import numpy as np

from ioi_exec.vm import StateView, TxContext
from ioi_exec.vm.payments import (
    account_key,
    encode_account,
    encode_transfer,
    sign_transfer,
)
from ioi_exec.vm.signatures import public_key

RICH = 10**15


def address(number: int) -> bytes:
    """The address of account `number`, the same everywhere."""
    return hashlib.sha256(b"account %d" % number).digest()


class PaymentsLoad:
    """Blocks of payments between `accounts` accounts, nonces kept right from block to block.

    pattern "uniform": sender and recipient at random. "hot": everybody pays one provider. "chain": account i pays i + 1, which
    has nothing else to pay on with. signed: for `vm_args={"signed": True}`.
    """

    def __init__(self, accounts: int, pattern: str = "uniform", seed: int = 1, signed: bool = False) -> None:
        self._rng = np.random.default_rng(seed)
        self._pattern = pattern
        self._nonces = [0] * accounts
        self._signed = signed
        self._secrets = [address(i) for i in range(accounts)]
        self.addresses = [public_key(secret) for secret in self._secrets] if signed else self._secrets

    def genesis(self) -> dict[bytes, bytes]:
        rich, poor = encode_account(RICH, 0), encode_account(0, 0)
        value = {a: rich for a in self.addresses}
        if self._pattern == "chain":
            value.update((a, poor) for a in self.addresses[1:])
        return {account_key(a): balance for a, balance in value.items()}

    def block(self, transactions: int) -> list[bytes]:
        accounts = len(self.addresses)
        if self._pattern == "chain":
            senders: Sequence[int] = [i % accounts for i in range(transactions)]
            recipients: Sequence[int] = [(i + 1) % accounts for i in range(transactions)]
            amounts: Sequence[int] = [1_000_000] * transactions
        else:
            senders = self._rng.integers(0, accounts, transactions).tolist()
            recipients = [0] * transactions if self._pattern == "hot" else self._rng.integers(0, accounts, transactions).tolist()
            amounts = self._rng.integers(1, 1000, transactions).tolist()
        txs = []
        for sender, recipient, amount in zip(senders, recipients, amounts):
            nonce = self._nonces[sender]
            self._nonces[sender] += 1
            tx = encode_transfer(self.addresses[sender], self.addresses[recipient], amount, nonce=nonce)
            txs.append(sign_transfer(tx, self._secrets[sender]) if self._signed else tx)
        return txs


class CostlyTransfers:
    """A VM in Python that moves points between accounts and hashes for about `microseconds` beside it.

    The cost is a number of hash rounds, not a clock, so that every execution is the same; `rounds_for` measures it.
    A transaction is two account numbers of 4 bytes.
    """

    version = "1"

    def __init__(self, rounds: int, chain: bool = False) -> None:
        self._rounds = rounds
        self._chain = chain

    def keys(self, tx: bytes) -> list[bytes]:
        return [b"p" + tx[:4], b"p" + tx[4:8]]

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        source, target = b"p" + tx[:4], b"p" + tx[4:8]
        have = int.from_bytes(state.get(source) or b"", "big")
        burned = _burn(tx + have.to_bytes(16, "big"), self._rounds)
        amount = have if self._chain else 1 + burned[0] % 8
        if have >= amount and source != target:
            state.put(source, (have - amount).to_bytes(16, "big"))
            more = int.from_bytes(state.get(target) or b"", "big") + amount
            state.put(target, more.to_bytes(16, "big"))
        return burned[:4]


def _burn(data: bytes, rounds: int) -> bytes:
    for _ in range(rounds):
        data = hashlib.blake2s(data).digest()
    return data


def rounds_for(microseconds: float) -> int:
    """How many rounds of CostlyTransfers cost about this long here: best of several, so that a busy machine does not count."""
    from time import perf_counter

    best = float("inf")
    for _ in range(20):
        began = perf_counter()
        _burn(b"x" * 40, 200)
        best = min(best, (perf_counter() - began) / 200)
    return max(1, round(microseconds * 1e-6 / best))


class CostlyLoad:
    """Blocks for CostlyTransfers. pattern "uniform" or "chain": each spends exactly what the one before it brought."""

    def __init__(self, accounts: int, pattern: str = "uniform", seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._accounts = accounts
        self._pattern = pattern

    def genesis(self) -> dict[bytes, bytes]:
        first = 1 if self._pattern == "chain" else self._accounts
        return {b"p" + i.to_bytes(4, "big"): (10**9).to_bytes(16, "big") for i in range(first)}

    def block(self, transactions: int) -> list[bytes]:
        def number(i: int) -> bytes:
            return (i % self._accounts).to_bytes(4, "big")

        if self._pattern == "chain":
            return [number(i) + number(i + 1) for i in range(transactions)]
        pick = self._rng.randrange
        return [number(pick(self._accounts)) + number(pick(self._accounts)) for _ in range(transactions)]
