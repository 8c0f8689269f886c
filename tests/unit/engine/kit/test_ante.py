"""The kit's ante: the next nonce and a fee, which stay where the transaction fails; the rest is refused."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ioi_exec import ExecutionMachine, Revert, VMError
from ioi_exec.kit import Ante, Counter, Counters, Map
from ioi_exec.testing import assert_serializable

Make = Callable[..., ExecutionMachine]


class Paid:
    """b"sender nonce fee" and perhaps b" fail"."""

    money = Counters("money", str)
    earned = Counter("earned")
    dues = Ante("nonces", str, money=money, fees=earned)

    def decode(self, tx: bytes) -> tuple[str, int, int, bool]:
        sender, nonce, fee, *rest = tx.decode().split()
        return sender, int(nonce), int(fee), bool(rest)

    def ante(self, tx: tuple[str, int, int, bool], state: Any, ctx: Any) -> None:
        self.dues.pay(state, *tx[:3])

    def execute(self, tx: tuple[str, int, int, bool], state: Any, ctx: Any) -> None:
        state.put(b"done", tx[0].encode())
        if tx[3]:
            raise Revert("failed")


GENESIS = dict([Paid.money.entry("ada", 10), Paid.money.entry("bob", 1)])
TXS = [b"ada 0 3 fail", b"ada 0 3", b"ada 1 3", b"ada 2 5", b"bob 0 2", b"bob 0 1", b"ada 2 -1", b"cy 0 0", b"ada 2 4"]


def test_fees_and_nonces_stay_where_a_transaction_fails(make: Make) -> None:
    machine = make(Paid, GENESIS)
    result = machine.execute(TXS)
    assert [receipt.error for receipt in result.receipts] == ["failed", "nonce", "", "fee", "fee", "", "fee", "", ""]
    assert [receipt.refused for receipt in result.receipts] == [False, True, False, True, True, False, True, False, False]
    machine.commit(result)
    assert dict(Paid.money.scan(machine)) == {"ada": 0, "bob": 0, "cy": 0} and Paid.earned.get(machine) == 11
    assert dict(Paid.dues.nonces.scan(machine)) == {"ada": 3, "bob": 1, "cy": 1}


def test_serializable() -> None:
    assert_serializable(Paid, GENESIS, TXS * 3)


def test_its_nonces_are_a_place() -> None:
    class Colliding(Paid):
        other = Map("nonces", key=str, value=int)

    with pytest.raises(VMError, match="dues .* and other|other .* and dues"):
        ExecutionMachine.create(None, Colliding, workers=0)
