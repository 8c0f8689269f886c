"""Blocks on an IAVL tree: the root is that of the formulas for what a block wrote last, at any number of workers.

Payments between few accounts, so that many are written again with the value they had, which IAVL roots show."""

from __future__ import annotations

import random

import naive_iavl
import pytest

from ioi_exec import BlockHeader, ExecutionMachine
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer

ACCOUNTS = [bytes([i]) * 32 for i in range(24)]
PROPOSER = b"\xfe" * 32


class Ledger:
    """The specification of `payments`, for transfers of which some lack the balance."""

    def __init__(self) -> None:
        self.held = {address: (1000, 0) for address in ACCOUNTS[::2]}

    def transfer(self, sender: bytes, recipient: bytes, amount: int, fee: int) -> tuple[bytes, set[bytes]]:
        """(transaction, accounts it writes)"""
        balance, nonce = self.held.get(sender, (0, 0))
        tx = encode_transfer(sender, recipient, amount, fee=fee, nonce=nonce)
        if balance < amount + fee:
            return tx, set()
        self.held[sender] = (balance - amount - fee, nonce + 1)
        balance, nonce = self.held.get(recipient, (0, 0))
        self.held[recipient] = (balance + amount, nonce)
        return tx, {sender, recipient}


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_random_payments(seed: int, workers: int) -> None:
    rng, ledger = random.Random(seed), Ledger()
    genesis = {account_key(address): encode_account(*held) for address, held in ledger.held.items()}
    naive = None
    for key, value in sorted(genesis.items()):
        naive = naive_iavl.put(naive, key, value, 1)
    with ExecutionMachine.create(None, tree="iavl", genesis=genesis, workers=workers, pin=False) as machine:
        assert machine.root == naive_iavl.root_of(naive)
        for version in range(2, 7):
            txs, written, fees = [], set(), 0
            for _ in range(rng.choice([0, 1, 30, 120])):
                fee = rng.randrange(3)
                sender, recipient = rng.choice(ACCOUNTS), rng.choice(ACCOUNTS)
                tx, wrote = ledger.transfer(sender, recipient, rng.choice([0, 1, 300]), fee)
                txs.append(tx)
                written |= wrote
                fees += fee if wrote else 0
            if fees:
                balance, nonce = ledger.held.get(PROPOSER, (0, 0))
                ledger.held[PROPOSER] = (balance + fees, nonce)
                written.add(PROPOSER)
            result = machine.execute(txs, BlockHeader(proposer=PROPOSER))
            for key, value in sorted((account_key(a), encode_account(*ledger.held[a])) for a in written):
                naive = naive_iavl.put(naive, key, value, version)
            assert result.state_root == naive_iavl.root_of(naive)
            machine.commit(result)
        assert dict(machine.at(3).scan()) == dict(machine._store.pairs(3))


def test_a_value_written_again_changes_the_root() -> None:
    class Again:
        def execute(self, tx: bytes, state, ctx) -> None:  # type: ignore[no-untyped-def]
            state.put(b"k", b"v")

    for workers in (0, 2):
        with ExecutionMachine.create(None, Again, "iavl", {b"k": b"v"}, workers=workers, pin=False) as machine:
            result = machine.execute([b"1", b"2"])
            assert result.state_root == naive_iavl.put(None, b"k", b"v", 2).hash() != machine.root
