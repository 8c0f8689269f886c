"""Fees of proposers whose address is no account: registered by who holds the validator's key, owed until then, paid from then on."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ioi_exec import BlockHeader, ExecutionMachine, InputError, InputTypeError, StateView, VMError
from ioi_exec.kit import Bytes, Counters, Payouts, public_key, seal, unseal, validator_address
from ioi_exec.testing import assert_serializable

Make = Callable[..., ExecutionMachine]
KEYS = [b"v" * 32, b"w" * 32]
ADDRESSES = [validator_address(public_key(key)) for key in KEYS]


class Paying:
    """b"account" registers its sender as a proposer with that account; of all others the fee is 3."""

    money = Counters("money", str, width=2)
    payouts = Payouts("payouts", str, money=money)

    def decode(self, tx: bytes, chain_id: str) -> tuple[bytes, bytes]:
        return unseal(tx, chain_id)

    def execute(self, tx: tuple[bytes, bytes], state: StateView, ctx: Any) -> bytes:
        key, account = tx
        return b"%d" % self.payouts.register(state, validator_address(key), account.decode()) if account else b"paid"

    def end_block(self, state: StateView, ctx: Any, receipts: Any) -> None:
        paid = self.payouts.pay(state, ctx.proposer, 3 * sum(receipt.output == b"paid" for receipt in receipts))
        ctx.emit("paid", done=int(paid))


def test_owed_registered_and_paid(make: Make) -> None:
    machine = make(Paying, chain_id="c")
    assert all(len(address) == 20 for address in ADDRESSES)
    pay = [seal(b"a" * 32, "c", b"")] * 2

    def block(proposer: bytes | None, *txs: bytes) -> list[bytes]:
        result = machine.execute([*pay, *txs], BlockHeader(proposer=proposer))
        machine.commit(result)
        assert result.events[-1]["done"] == int(proposer is not None)
        return [receipt.output for receipt in result.receipts][2:]

    block(ADDRESSES[0])
    block(ADDRESSES[1])
    block(ADDRESSES[0])
    block(None)  # nobody proposed: burned
    assert list(Paying.payouts.owed.scan(machine)) == sorted([(ADDRESSES[0], 12), (ADDRESSES[1], 6)]) and list(Paying.money.scan(machine)) == []
    # In the block that registers them they are paid already.
    assert block(ADDRESSES[0], seal(KEYS[0], "c", b"ada")) == [b"12"]
    assert list(Paying.money.scan(machine)) == [("ada", 18)]
    assert dict(Paying.payouts.owed.scan(machine)) == {ADDRESSES[0]: 0, ADDRESSES[1]: 6}
    # Another account, for what comes; nobody else's key moves it, and a signature of another chain is none.
    assert block(ADDRESSES[0], seal(KEYS[0], "c", b"bob"), seal(KEYS[1], "d", b"eve")) == [b"0", b""]
    assert block(ADDRESSES[1], seal(KEYS[1], "c", b"cy")) == [b"6"]
    assert dict(Paying.money.scan(machine)) == {"ada": 18, "bob": 6, "cy": 12}
    assert Paying.payouts.accounts.get(machine, ADDRESSES[0]) == "bob"


def test_what_does_not_fit(make: Make) -> None:
    genesis = dict([Paying.money.entry("ada", 2**16 - 5), Paying.payouts.owed.entry(ADDRESSES[0], 9), Paying.payouts.accounts.entry(ADDRESSES[1], "ada")])
    machine = make(Paying, chain_id="c", genesis=genesis)
    result = machine.execute([seal(KEYS[0], "c", b"ada"), seal(KEYS[0], "c", b"")], BlockHeader(proposer=ADDRESSES[1]))
    assert result.receipts[0].error.startswith("OverflowError: payouts: the account cannot hold the 9") and result.events[-1]["done"] == 1
    machine.commit(result)
    assert Paying.money.get(machine, "ada") == 2**16 - 2 and Paying.payouts.accounts.get(machine, ADDRESSES[0]) is None
    result = machine.execute([seal(KEYS[0], "c", b"")], BlockHeader(proposer=ADDRESSES[1]))
    assert result.events[-1]["done"] == 0, "the account is full"


def test_the_address_is_cometbfts() -> None:
    """Of a validator's key as CometBFT's documents show it: bytes and address."""
    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # RFC 8032, test 1
    assert validator_address(key).hex() == "21fe31dfa154a261626bf854046fd2271b7bed4b"  # SHA-256, its first 20 bytes
    with pytest.raises(InputError, match="33 bytes: give one of ed25519"):
        validator_address(b"k" * 33)
    with pytest.raises(InputTypeError):
        validator_address("key")  # type: ignore[arg-type]


def test_it_is_serializable() -> None:
    class Open(Paying):
        def decode(self, tx: bytes, chain_id: str) -> tuple[bytes, bytes]:  # type: ignore[override]
            return tx[:1] * 32, tx[1:]

    assert_serializable(Open, {}, [b"vada", b"x", b"y", b"vbob", b"wcy", b"z"] * 4)


def test_its_parts_meet_nothing() -> None:
    class Clashes(Paying):
        other = Counters("payouts", Bytes(20))

    with pytest.raises(VMError, match="keeps two things under the same keys"):
        ExecutionMachine.create(None, Clashes, workers=0)
