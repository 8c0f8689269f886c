"""`payments` in plain Python: what the C one must equal, to the last byte."""

from __future__ import annotations

from ioi_exec.block.context import EndContext, TxContext
from ioi_exec.block.receipt import Receipts
from ioi_exec.vm.payments import (
    ACCOUNT_BYTES,
    ADDRESS_BYTES,
    BALANCE_BYTES,
    MAX_U64,
    MAX_U128,
    PAYOUT_PREFIX,
    TRANSFER_BYTES,
    Account,
    Transfer,
    account_key,
    check_signed,
    decode_account,
    decode_transfer,
    encode_account,
)
from ioi_exec.vm.protocol import StateView
from ioi_exec.vm.revert import Revert


class PaymentsReference:
    """A VM: see vm/payments.py for the formats. The order of the checks and their texts are part of the receipts."""

    version = "1"

    def __init__(self, signed: bool = False) -> None:
        self._signed = signed

    def decode(self, tx: bytes, chain_id: str) -> Transfer:
        if self._signed:
            check_signed(tx, chain_id)
        elif len(tx) != TRANSFER_BYTES:
            raise Revert("malformed")
        return decode_transfer(tx[:TRANSFER_BYTES])

    def keys(self, tx: Transfer) -> list[bytes]:
        return [account_key(tx.sender), account_key(tx.recipient)]

    def execute(self, tx: Transfer, state: StateView, ctx: TxContext) -> None:
        if tx.expiry and ctx.height > tx.expiry:
            raise Revert("expired")
        sender_key = account_key(tx.sender)
        sender = _account(state.get(sender_key))
        if tx.nonce != sender.nonce or tx.nonce == MAX_U64:
            raise Revert("nonce")
        if sender.balance < tx.amount + tx.fee:
            raise Revert("balance")
        if tx.recipient == tx.sender:
            state.put(sender_key, encode_account(sender.balance - tx.fee, sender.nonce + 1))
            return
        if not _credit(state, account_key(tx.recipient), tx.amount):
            raise Revert("overflow")
        state.put(sender_key, encode_account(sender.balance - tx.amount - tx.fee, sender.nonce + 1))

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        """Credit the fees of the block at once, so that they never make transfers conflict. Else they are burned."""
        fees = sum(decode_transfer(tx[:TRANSFER_BYTES]).fee for tx, receipt in zip(ctx.txs, receipts) if receipt.ok)
        if not fees or not ctx.proposer:
            return
        account = ctx.proposer if len(ctx.proposer) == ADDRESS_BYTES else state.get(PAYOUT_PREFIX + ctx.proposer)
        if account is None or len(account) != ADDRESS_BYTES:
            return
        key = account_key(account)
        proposer = _account(state.get(key))
        if proposer.balance + fees <= MAX_U128:
            state.put(key, encode_account(proposer.balance + fees, proposer.nonce))


def _credit(state: StateView, key: bytes, amount: int) -> bool:
    """Add to a balance without reading it: whoever else pays the same account does not conflict. False: it would overflow."""
    try:
        return state.add(key, amount, width=BALANCE_BYTES, size=ACCOUNT_BYTES)
    except ValueError:  # a value of another length
        state.put(key, encode_account(amount))
        return True


def _account(value: bytes | None) -> Account:
    """A value of another length is as good as none: nothing but this VM writes accounts, and genesis is checked."""
    return decode_account(value if value is not None and len(value) == ACCOUNT_BYTES else None)
