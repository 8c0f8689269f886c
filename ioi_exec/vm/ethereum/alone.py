"""Transactions without a block around them: nothing before them and nothing after but their fees, as state tests have them."""

from __future__ import annotations

from ioi_exec.block.context import BeginContext, EndContext
from ioi_exec.block.receipt import Receipts
from ioi_exec.vm.ethereum.block import Block
from ioi_exec.vm.ethereum.vm import Ethereum, end_alone
from ioi_exec.vm.protocol import StateView


class TransactionsAlone(Ethereum):
    """A VM as Ethereum is, but that a transaction that cannot be in the block is left out of it."""

    def begin_block(self, state: StateView, ctx: BeginContext) -> None:
        pass

    def end_block(self, state: StateView, ctx: EndContext, receipts: Receipts) -> None:
        if any(receipt.ok for receipt in receipts):
            end_alone(Block.decode(ctx.extra), state)
