"""What lets a transaction in: it is its sender's next one, and its sender pays for it, whatever becomes of it."""

from __future__ import annotations

from typing import Generic, Iterator, Protocol, TypeVar

from ioi_exec.kit.codecs import Spec, Unsigned
from ioi_exec.kit.counters import Counter, Counters, Counting
from ioi_exec.kit.state import Map, Reading, Writing
from ioi_exec.vm.places import Place
from ioi_exec.vm.revert import Revert

K = TypeVar("K")


class Paying(Reading, Writing, Counting, Protocol):
    """`state`."""


class Ante(Place, Generic[K]):
    """Nonces of its own under `name`, one for each sender, and fees out of `money`.

        ante_of = Ante("nonces", bytes, money=balances, fees=earned)

        def ante(self, tx, state, ctx):
            self.ante_of.pay(state, tx.sender, tx.nonce, tx.fee)

    fees: where they go; None: nowhere, they are burned, or credited by `end_block`.
    """

    def __init__(self, name: str, sender: Spec[K], *, money: Counters[K], fees: Counter | None = None) -> None:
        self.nonces = Map(name, sender, Unsigned(8))
        self._money, self._fees = money, fees

    def places(self) -> Iterator[Place]:
        yield self.nonces

    def pay(self, state: Paying, sender: K, nonce: int, fee: int) -> None:
        """Raises Revert, and `ante` then refuses the transaction: "nonce" if it is not the sender's next one, from 0 on; "fee" if the
        sender has not got it, or it is below 0."""
        if nonce != self.nonces.get(state, sender, 0):
            raise Revert("nonce")
        if fee < 0 or not self._money.add(state, sender, -fee):
            raise Revert("fee")
        self.nonces.put(state, sender, nonce + 1)
        if self._fees is not None:
            self._fees.add(state, fee)
