"""Where the fees of proposers go: who proposes is told by an address that the consensus made, and the accounts of a chain may be others."""

from __future__ import annotations

from hashlib import sha256
from typing import Generic, Iterator, TypeVar

from ioi_exec.arguments import octets
from ioi_exec.errors import InputError
from ioi_exec.kit.ante import Paying
from ioi_exec.kit.codecs import Spec
from ioi_exec.kit.counters import Counters
from ioi_exec.kit.state import Map
from ioi_exec.vm.places import Place

K = TypeVar("K")

KEY_BYTES = 32
ADDRESS_BYTES = 20


def validator_address(public_key: bytes) -> bytes:
    """The address, 20 bytes, by which CometBFT calls the validator with this ed25519 key (32 bytes): the beginning of its SHA-256.
    It is `ctx.proposer` of the blocks that it proposes. Raises InputTypeError, InputError."""
    if len(octets("the validator's key", public_key)) != KEY_BYTES:
        raise InputError(f"the validator's key has {len(public_key)} bytes: give one of ed25519, which has {KEY_BYTES}")
    return sha256(public_key).digest()[:ADDRESS_BYTES]


class Payouts(Place, Generic[K]):
    """Accounts of proposers under `name`, and what is owed to those without one. Accounts are paid in `money`.

        payouts = Payouts("payouts", str, money=balances)

        def execute(self, tx, state, ctx):                  # tx.key: what signed the transaction, as `unseal` says
            self.payouts.register(state, validator_address(tx.key), tx.account)

        def end_block(self, state, ctx, receipts):
            self.payouts.pay(state, ctx.proposer, sum_of_fees)

    Who may register an address is the VM's to see to: its owner alone, as above, or whoever governs the chain.
    """

    def __init__(self, name: str, account: Spec[K], *, money: Counters[K]) -> None:
        self.accounts: Map[bytes, K] = Map(name, bytes, account)
        self.owed: Counters[bytes] = Counters(f"{name}_owed", bytes)
        self._money = money

    def places(self) -> Iterator[Place]:
        yield self.accounts
        yield self.owed

    def register(self, state: Paying, proposer: bytes, account: K) -> int:
        """From now on this account gets what the proposer earns, and at once what was owed so far, which is returned. Again: another
        account. Raises OverflowError, and registers nothing, if the account cannot hold that."""
        owed = self.owed.get(state, proposer)
        if owed and not self._money.add(state, account, owed):
            raise OverflowError(f"{self.accounts.name}: the account cannot hold the {owed} that the proposer is owed")
        if owed:
            self.owed.add(state, proposer, -owed)
        self.accounts.put(state, proposer, account)
        return owed

    def pay(self, state: Paying, proposer: bytes, amount: int) -> bool:
        """Credit the proposer's account, or what it is owed until it has one. False, and nothing is written, where there is no proposer, or
        what it has would become too large."""
        account = self.accounts.get(state, proposer) if proposer else None
        if account is not None:
            return self._money.add(state, account, amount)
        return bool(proposer) and self.owed.add(state, proposer, amount)
