"""`payments` in C, in parallel and one by one, equals the plain Python of it, one by one."""

from __future__ import annotations

import random
from collections import Counter
from typing import Iterator

import effort
import pytest
from differential import CACHES, WORKERS, Chain, Pools, difference, loaded, rngs
from random_blocks import random_policy

from ioi_exec import BlockHeader, Limits
from ioi_exec.block.preparation import block_context
from ioi_exec.execution.executor import Block
from ioi_exec.execution.native import NativeSequentialExecutor
from ioi_exec.execution.parallel import ParallelExecutor
from ioi_exec.execution.sequential import SequentialExecutor
from ioi_exec.vm.loading import load_vm
from ioi_exec.vm.payments import (
    account_key,
    decode_account,
    encode_account,
    encode_transfer,
)
from ioi_exec.vm.payments_reference import PaymentsReference

BLOCKS = effort.amount("IOI_BLOCKS", sample=500, many=5_000)
BLOCKS_PER_STATE = 20
MAX_U64, MAX_U128 = (1 << 64) - 1, (1 << 128) - 1


def address(number: int) -> bytes:
    return number.to_bytes(4, "big") * 8


def random_accounts(rng: random.Random, count: int) -> dict[bytes, bytes]:
    """Most are rich enough; some poor, absent, or at the end of what balances and nonces can hold."""
    accounts = {}
    for i in range(count):
        if rng.random() < 0.9:
            balance = rng.choice((0, 1000, 10**6, 10**9, 10**9, MAX_U128 - 5, MAX_U128 // 2, MAX_U128, 1 << 64))
            nonce = rng.choice((0, 0, 0, 1, MAX_U64 - 1, MAX_U64)) if rng.random() < 0.2 else 0
            accounts[account_key(address(i))] = encode_account(balance, nonce)
    return accounts


def random_transfers(rng: random.Random, accounts: int, state: dict[bytes, bytes]) -> list[bytes]:
    """Most are good: the nonce is the one the sender has if this function keeps book rightly, which only variety hangs on."""
    held = {i: list(decode_account(state.get(account_key(address(i))))) for i in range(accounts)}
    hot, odd = rng.random() < 0.3, rng.choice((0.02, 0.2))
    txs = []
    for _ in range(rng.choice((1, 3, 10, 60, 300))):
        if rng.random() < odd / 4:
            txs.append(rng.randbytes(rng.choice((0, 1, 103, 105, 208))))
            continue
        sender = rng.randrange(accounts)
        recipient = sender if rng.random() < 0.05 else 0 if hot else rng.randrange(accounts)
        amount, fee, expiry, nonce = rng.choice((0, 1, 7, 500)), rng.choice((0, 0, 1, 3)), 0, held[sender][1]
        if rng.random() < odd:
            kind = rng.randrange(4)
            amount = rng.choice((held[sender][0], MAX_U128 - 20, MAX_U128)) if kind == 0 else amount
            fee = MAX_U64 if kind == 1 else fee
            expiry = rng.choice((1, 5, 100)) if kind == 2 else 0
            nonce = rng.choice((0, nonce + 1, MAX_U64)) if kind == 3 else nonce
        nonce = min(nonce, MAX_U64)
        good = nonce == held[sender][1] < MAX_U64 and held[sender][0] >= amount + fee and not expiry
        if good and (sender == recipient or held[recipient][0] + amount <= MAX_U128):
            held[sender][0] -= amount + fee
            held[sender][1] += 1
            held[recipient][0] += amount
        txs.append(encode_transfer(address(sender), address(recipient), amount, fee=fee, nonce=nonce, expiry=expiry))
    return txs


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    pools = Pools()
    yield pools
    pools.close()


@pytest.mark.sampled
def test_native_payments_equal_the_reference(pools: Pools) -> None:
    met: Counter[str] = Counter()
    paid = 0
    limits = Limits()
    payments = load_vm("payments")
    reference = SequentialExecutor(loaded(PaymentsReference), limits)
    native = NativeSequentialExecutor(payments, limits)
    for name, rng in rngs(effort.seed(6), BLOCKS // BLOCKS_PER_STATE):
        accounts = rng.choice((2, 3, 10, 40))
        chain = Chain(random_accounts(rng, accounts), rng.choice(CACHES))
        executors = {
            count: ParallelExecutor(payments, limits, count, False, pools.templates, pools[count])
            for count in rng.sample(WORKERS, 3)
        }
        try:
            for number in range(BLOCKS_PER_STATE):
                if rng.random() < 0.1:
                    chain.enter_sandbox()
                txs = random_transfers(rng, accounts, chain.model)
                proposer = rng.choice((b"", b"short" * 4, address(rng.randrange(accounts)), address(999)))
                top = chain.layers[-1]
                header = BlockHeader(height=rng.choice((1, 3, 5, 6, 101)), proposer=proposer)
                policy = random_policy(rng)
                block = Block(txs, block_context(header, top.root), policy)
                expected = reference.run(block, chain.base, None)
                alone = difference(expected, native.run(block, chain.base, None))
                assert alone is None, f"seed {name} block {number}, natively one by one: {alone}"
                for count, executor in executors.items():
                    text = difference(expected, executor.run(block, chain.base, None))
                    assert text is None, f"seed {name} block {number}, {count} workers, {policy}: {text}\n{chain.model}"
                met.update(receipt.error for receipt in expected.receipts)
                paid += len(proposer) == 32 and account_key(proposer) in dict(expected.writes)
                staged = chain.stage(expected)
                if rng.random() < 0.4:
                    chain.commit(expected, staged)
        finally:
            for executor in executors.values():
                executor.close()
            chain.close()
    assert paid > 20
    assert all(met[what] > 20 for what in ("", "malformed", "expired", "nonce", "balance", "overflow")), met
    assert met[""] > sum(met.values()) / 2, met
