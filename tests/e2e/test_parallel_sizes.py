"""Blocks of every size: none, one, two and 100,000 transactions, spread over many accounts or all on one."""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator

import pytest

from ioi_exec import (
    BlockHeader,
    BlockResult,
    ExecutionMachine,
    Receipts,
    StateView,
    TxContext,
)
from ioi_exec.vm.payments import account_key, encode_account, encode_transfer
from ioi_exec.vm.payments_reference import PaymentsReference

WORKERS = (1, 2, 3, 8)
MANY = 100_000
ACCOUNTS = [i.to_bytes(32, "big") for i in range(1_000)]
GENESIS = {account_key(address): encode_account(10**12) for address in ACCOUNTS}
HEADER = BlockHeader(proposer=b"\x0f" * 32)


class Chained:
    """Every transaction reads what the one before wrote; end_block sums up."""

    def execute(self, tx: bytes, state: StateView, ctx: TxContext) -> bytes:
        value = int(state.get(b"sum") or b"0") * 31 % 1_000_003 + ctx.tx_index
        state.put(b"sum", b"%d" % value)
        return b"%d" % value

    def end_block(self, state: StateView, ctx: Any, receipts: Receipts) -> None:
        state.put(b"end", b"%d %d" % (len(receipts), int(state.get(b"sum") or b"0")))


def spread(n: int) -> list[bytes]:
    rng = random.Random(n)
    nonces = [0] * len(ACCOUNTS)
    txs = []
    for _ in range(n):
        sender, recipient = rng.randrange(len(ACCOUNTS)), rng.randrange(len(ACCOUNTS))
        txs.append(encode_transfer(ACCOUNTS[sender], ACCOUNTS[recipient], 5, fee=1, nonce=nonces[sender]))
        nonces[sender] += 1
    return txs


def one_sender(n: int) -> list[bytes]:
    return [encode_transfer(ACCOUNTS[0], ACCOUNTS[i % 1_000], 5, fee=1, nonce=i) for i in range(n)]


def one_recipient(n: int) -> list[bytes]:
    return [encode_transfer(ACCOUNTS[1 + i % 999], ACCOUNTS[0], 5, nonce=i // 999) for i in range(n)]


def one_account(n: int) -> list[bytes]:
    return [encode_transfer(ACCOUNTS[0], ACCOUNTS[0], 5, fee=1, nonce=i) for i in range(n)]


def new_accounts(n: int) -> list[bytes]:
    """Every transfer goes to an account that was not there."""
    return [encode_transfer(ACCOUNTS[i % 1_000], (10**6 + i).to_bytes(32, "big"), 1, nonce=i // 1_000) for i in range(n)]


@pytest.fixture(scope="module")
def payments() -> Iterator[ExecutionMachine]:
    with ExecutionMachine.create(None, PaymentsReference, genesis=GENESIS, workers=0) as machine:
        yield machine


def same(found: BlockResult, expected: BlockResult) -> bool:
    return (
        (found.state_root, found.receipts_root) == (expected.state_root, expected.receipts_root)
        and found.receipts == expected.receipts
        and found.writes == expected.writes
    )


@pytest.mark.parametrize("make", [spread, one_sender, one_recipient, one_account, new_accounts])
@pytest.mark.parametrize("n", [0, 1, 2, MANY])
def test_payments(payments: ExecutionMachine, ioi_pools: Any, make: Callable[[int], list[bytes]], n: int) -> None:
    txs = make(n)
    expected = payments.execute(txs, HEADER)
    assert expected.transactions == n and expected.failed == 0
    for workers in (0, *WORKERS):
        options = dict(workers=workers, pin=False, executors=ioi_pools.executors())
        with ExecutionMachine.create(None, "payments", genesis=GENESIS, **options) as machine:
            result = machine.execute(txs, HEADER)
            assert same(result, expected), f"{workers} workers"
            machine.commit(result)
            assert machine.root == expected.state_root


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5_000])
def test_a_chain_of_dependent_transactions(ioi_pools: Any, n: int) -> None:
    results = []
    for workers in (0, *WORKERS):
        with ExecutionMachine.create(None, Chained, workers=workers, pin=False, executors=ioi_pools.executors()) as machine:
            results.append(machine.execute([b"tx"] * n))
    assert all(same(result, results[0]) for result in results)
    assert results[0].writes[0] == (b"end", b"%d %d" % (n, int(results[0].receipts[-1].output) if n else 0))


def test_many_small_blocks_in_a_row(ioi_pools: Any) -> None:
    """Waking and leaving, over and over: nothing is lost between blocks, and each builds on the one before."""
    for workers in WORKERS:
        options = dict(workers=workers, pin=False, executors=ioi_pools.executors())
        with ExecutionMachine.create(None, "payments", genesis=GENESIS, **options) as machine:
            for block in range(300):
                result = machine.execute([encode_transfer(ACCOUNTS[block % 4], ACCOUNTS[9], 1, nonce=block // 4)])
                assert result.failed == 0
                machine.commit(result)
                assert machine.execute([]).state_root == machine.root
            assert machine.get(account_key(ACCOUNTS[9])) == encode_account(10**12 + 300)
