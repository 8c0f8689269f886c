"""`payments`: formats, the order of its checks, fees; a naive ledger as the oracle."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ioi_exec import (
    BlockHeader,
    Error,
    ExecutionMachine,
    InputError,
    InputTypeError,
    Policy,
    Receipt,
)
from ioi_exec.vm.payments import (
    Account,
    Transfer,
    account_key,
    decode_account,
    decode_transfer,
    encode_account,
    encode_transfer,
)
from ioi_exec.vm.payments_reference import PaymentsReference

A, B, C, P = (bytes([letter]) * 32 for letter in b"abcp")
U64, U128 = (1 << 64) - 1, (1 << 128) - 1


class Payments:
    """`payments` in one of its forms: machine(a=(balance, nonce), ...) opens it, run(txs, ...) executes and commits."""

    def __init__(self, vm: Any, workers: int, pools: Any) -> None:
        self.vm, self.workers, self.pools = vm, workers, pools

    def machine(self, genesis: dict[bytes, bytes] | None = None, **accounts: tuple[int, int]) -> ExecutionMachine:
        genesis = genesis or {account_key(name.encode() * 32): encode_account(*held) for name, held in accounts.items()}
        return ExecutionMachine.create(
            None, self.vm, genesis=genesis, workers=self.workers, pin=False, executors=self.pools.executors()
        )

    def run(
        self, txs: list[bytes], header: BlockHeader | None = None, **accounts: tuple[int, int]
    ) -> tuple[list[str], dict[str, Account]]:
        """The error texts ("" = done), and every account after."""
        with self.machine(**accounts) as m:
            result = m.execute(txs, header)
            m.commit(result)
            assert all(r.code == (1 if r.error else 0) and r.output == b"" for r in result.receipts)
            return [r.error for r in result.receipts], {k[-1:].decode(): decode_account(v) for k, v in m.scan(prefix=b"acct/")}


@pytest.fixture(params=[(PaymentsReference, 0), ("payments", 0), ("payments", 1), ("payments", 2)], ids=["python", "c", "c-1", "c-2"])
def payments(request: pytest.FixtureRequest, ioi_pools: Any) -> Payments:
    return Payments(*request.param, ioi_pools)


def test_the_formats_are_fixed() -> None:
    tx = encode_transfer(A, B, 1, fee=2, nonce=3, expiry=4)
    assert tx == A + B + bytes(15) + b"\1" + bytes(7) + b"\2" + bytes(7) + b"\3" + bytes(7) + b"\4"
    assert decode_transfer(tx) == Transfer(A, B, 1, 2, 3, 4)
    assert account_key(A) == b"acct/" + A
    assert encode_account(1, 2) == bytes(15) + b"\1" + bytes(7) + b"\2"
    assert decode_account(encode_account(U128, U64)) == (U128, U64) and decode_account(None) == (0, 0)
    most = encode_transfer(A, B, U128, fee=U64, nonce=U64, expiry=U64)
    assert decode_transfer(most) == (A, B, U128, U64, U64, U64)


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_transfer(A[:-1], B, 1, nonce=0), lambda: encode_transfer(A, B + b"x", 1, nonce=0),
        lambda: encode_transfer("a" * 32, B, 1, nonce=0), lambda: encode_transfer(A, B, -1, nonce=0),  # type: ignore[arg-type]
        lambda: encode_transfer(A, B, 1 << 128, nonce=0), lambda: encode_transfer(A, B, 1, nonce=1 << 64),
        lambda: encode_transfer(A, B, 1, fee=1 << 64, nonce=0), lambda: encode_transfer(A, B, 1.0, nonce=0),  # type: ignore[arg-type]
        lambda: encode_transfer(A, B, True, nonce=0), lambda: encode_transfer(A, B, 1, nonce=0, expiry=-1),
        lambda: encode_account(-1), lambda: encode_account(1 << 128), lambda: encode_account(0, 1 << 64),
        lambda: decode_transfer(b"x"), lambda: decode_account(b"x"), lambda: account_key(b"short"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any) -> None:
    with pytest.raises((InputError, InputTypeError)):
        call()


def test_a_transfer_moves_and_the_fee_leaves(payments: Payments) -> None:
    errors, after = payments.run([encode_transfer(A, B, 10, fee=3, nonce=5)], a=(100, 5))
    assert errors == [""] and after == {"a": (87, 6), "b": (10, 0)}


@pytest.mark.parametrize(
    "tx, error",
    [
        (b"", "malformed"), (bytes(103), "malformed"), (bytes(105), "malformed"),
        (encode_transfer(A, B, 10**9, nonce=9, expiry=6), "expired"),  # before nonce and balance
        (encode_transfer(A, B, 1, nonce=5, expiry=7), ""), (encode_transfer(A, B, 1, nonce=5, expiry=U64), ""),
        (encode_transfer(A, B, 10**9, nonce=4), "nonce"), (encode_transfer(A, B, 1, nonce=6), "nonce"),  # before balance
        (encode_transfer(A, B, 101, nonce=5), "balance"), (encode_transfer(A, B, 100, nonce=5), ""),
        (encode_transfer(A, B, 100, fee=1, nonce=5), "balance"), (encode_transfer(A, B, 99, fee=1, nonce=5), ""),
        (encode_transfer(A, B, U128, fee=U64, nonce=5), "balance"),
        (encode_transfer(A, C, 1, nonce=5), "overflow"), (encode_transfer(A, C, 0, nonce=5), ""),
        (encode_transfer(A, A, 100, nonce=5), ""), (encode_transfer(A, A, 101, nonce=5), "balance"),
        (encode_transfer(B, A, 0, nonce=0), ""), (encode_transfer(B, A, 1, nonce=0), "balance"), (encode_transfer(B, A, 0, nonce=1), "nonce"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_checks_and_their_order(payments: Payments, tx: bytes, error: str) -> None:
    errors, after = payments.run([tx], BlockHeader(height=7), a=(100, 5), c=(U128, 0))
    assert errors == [error]
    if error:
        assert after == {"a": (100, 5), "c": (U128, 0)}


def test_the_last_nonce_cannot_be_used(payments: Payments) -> None:
    assert payments.run([encode_transfer(A, B, 1, nonce=U64)], a=(9, U64))[0] == ["nonce"]


def test_paying_oneself_costs_the_fee_and_cannot_overflow(payments: Payments) -> None:
    assert payments.run([encode_transfer(A, A, U128 - 1, fee=1, nonce=0)], a=(U128, 0)) == ([""], {"a": (U128 - 1, 1)})


def test_success_writes_both_accounts_even_for_nothing(payments: Payments) -> None:
    with payments.machine(a=(0, 0)) as m:
        assert m.execute([encode_transfer(A, B, 0, nonce=0)]).writes == [
            (account_key(A), encode_account(0, 1)), (account_key(B), encode_account(0, 0)),
        ]


@pytest.mark.parametrize("vm", ["payments", PaymentsReference])
def test_who_pays_the_same_account_does_not_conflict(vm: Any, ioi_pools: Any) -> None:
    """However much of it happens at once: nothing is executed again that was not told to wait."""
    senders = [number.to_bytes(32, "big") for number in range(2000)]
    genesis = {account_key(sender): encode_account(10) for sender in senders}
    txs = [encode_transfer(sender, P, 3, nonce=0) for sender in senders]
    policy = Policy.named("all-workers")
    with ExecutionMachine.create(None, vm, genesis=genesis, workers=2, pin=False, executors=ioi_pools.executors()) as m:
        result = m.execute(txs, policy=policy)
        assert result.stats.workers == 2 and result.stats.aborts == 0 and result.stats.executions == len(txs)
        assert all(receipt.ok for receipt in result.receipts) and dict(result.writes)[account_key(P)] == encode_account(6000)


FEES = [encode_transfer(A, B, 1, fee=3, nonce=0), encode_transfer(A, B, 10**9, fee=50, nonce=1), encode_transfer(A, B, 1, fee=4, nonce=1)]


def test_the_fees_of_what_succeeded_go_to_the_proposer(payments: Payments) -> None:
    assert payments.run(FEES, BlockHeader(proposer=P), a=(100, 0))[1] == {"a": (91, 2), "b": (2, 0), "p": (7, 0)}
    assert payments.run(FEES, BlockHeader(proposer=A), a=(100, 0))[1] == {"a": (98, 2), "b": (2, 0)}
    assert payments.run(FEES, BlockHeader(proposer=P), a=(100, 0), p=(5, 8))[1]["p"] == (12, 8)


@pytest.mark.parametrize("proposer", [None, b"", P[:20], P + b"x"])
def test_fees_are_burned_without_an_account_to_get_them(payments: Payments, proposer: bytes | None) -> None:
    assert payments.run(FEES, BlockHeader(proposer=proposer), a=(100, 0))[1] == {"a": (91, 2), "b": (2, 0)}


def test_fees_that_would_overflow_are_burned_and_no_fees_write_nothing(payments: Payments) -> None:
    assert payments.run(FEES, BlockHeader(proposer=P), a=(100, 0), p=(U128 - 6, 0))[1]["p"] == (U128 - 6, 0)
    assert payments.run(FEES, BlockHeader(proposer=P), a=(100, 0), p=(U128 - 7, 0))[1]["p"] == (U128, 0)
    assert "p" not in payments.run([encode_transfer(A, B, 1, nonce=0)], BlockHeader(proposer=P), a=(1, 0))[1]


def test_a_genesis_with_broken_accounts_is_refused() -> None:
    for genesis in ({account_key(A): b"short"}, {b"acct/short": encode_account(1)}):
        with pytest.raises(Error, match="account"):
            ExecutionMachine.create(None, genesis=genesis, workers=0)
    ExecutionMachine.create(None, genesis={b"something else": b"x"}, workers=0).close()


def ledger(txs: list[bytes], held: dict[bytes, tuple[int, int]], height: int, proposer: bytes) -> list[str]:
    """The oracle, from the specification alone, without views, receipts or VMs."""
    errors, fees = [], 0
    for tx in txs:
        if len(tx) != 104:
            errors.append("malformed")
            continue
        sender, recipient = tx[:32], tx[32:64]
        amount, fee, nonce, expiry = (int.from_bytes(tx[a:b], "big") for a, b in ((64, 80), (80, 88), (88, 96), (96, 104)))
        balance, next_nonce = held.get(sender, (0, 0))
        theirs, their_nonce = held.get(recipient, (0, 0))
        if expiry != 0 and height > expiry:
            errors.append("expired")
        elif nonce != next_nonce or nonce == U64:
            errors.append("nonce")
        elif balance < amount + fee:
            errors.append("balance")
        elif sender != recipient and theirs + amount > U128:
            errors.append("overflow")
        else:
            errors.append("")
            fees += fee
            held[sender] = (balance - amount - fee, nonce + 1)
            theirs, their_nonce = held.get(recipient, (0, 0))
            held[recipient] = (theirs + amount, their_nonce)
    if fees and len(proposer) == 32:
        theirs, their_nonce = held.get(proposer, (0, 0))
        if theirs + fees <= U128:
            held[proposer] = (theirs + fees, their_nonce)
    return errors


@pytest.mark.parametrize("seed", range(40))
def test_random_payments_equal_the_ledger(payments: Payments, seed: int) -> None:
    rng = random.Random(seed)
    people = [bytes([i]) * 32 for i in range(rng.choice([2, 3, 8]))]
    held = {p: (rng.choice([0, 5, 100, U128, U128 - 3]), rng.choice([0, 0, 7, U64])) for p in people if rng.random() < 0.8}
    with payments.machine({account_key(p): encode_account(*h) for p, h in held.items()}) as m:
        for height in range(1, 4):
            nonces = {p: held.get(p, (0, 0))[1] for p in people}
            txs = []
            for _ in range(40):
                sender, recipient = rng.choice(people), rng.choice(people)
                nonce = min(U64, nonces[sender] + rng.choice([0, 0, 0, 0, 0, 1]))
                amount = rng.choice([0, 1, 2, 50, U128 - 50])
                nonces[sender] += 1
                txs.append(encode_transfer(sender, recipient, amount, fee=rng.choice([0, 0, 1, U64]), nonce=nonce, expiry=rng.choice([0, 0, 2])))
                if rng.random() < 0.05:
                    txs.append(rng.randbytes(rng.choice([0, 103, 105])))
            proposer = rng.choice([*people, P, b""])
            result = m.execute(txs, BlockHeader(proposer=proposer or None))
            m.commit(result)
            errors = ledger(txs, held, height, proposer)
            assert list(result.receipts) == [Receipt(1 if e else 0, error=e) for e in errors], f"seed {seed} height {height}"
            assert dict(m.scan()) == {account_key(p): encode_account(*h) for p, h in held.items()}, f"seed {seed} height {height}"
