"""What a block, a transaction and `end_block` know about where they are. All of it is immutable."""

from __future__ import annotations

from typing import NamedTuple, Sequence


class BlockContext(NamedTuple):
    """The header of the block being executed, with its height decided."""

    height: int
    time_ns: int
    proposer: bytes  # b"" if none
    extra: bytes
    parent_root: bytes  # 32 bytes
    block_id: bytes
    chain_id: str = ""  # what the state was created with; "" if nothing

    def of_transaction(self, tx_index: int) -> TxContext:
        return TxContext(self.height, self.time_ns, self.proposer, self.extra, self.parent_root, self.chain_id, tx_index)

    def of_end(self, txs: Sequence[bytes]) -> EndContext:
        return EndContext(
            self.height, self.time_ns, self.proposer, self.extra, self.parent_root, self.chain_id, len(txs), tuple(txs)
        )


class TxContext(NamedTuple):
    """`ctx` of `VM.execute`."""

    height: int
    time_ns: int  # nanoseconds since 1970, as the header says; never this machine's clock
    proposer: bytes  # b"" if none
    extra: bytes
    parent_root: bytes  # 32 bytes: the root the block stands on
    chain_id: str  # what the state was created with; "" if nothing
    tx_index: int


class EndContext(NamedTuple):
    """`ctx` of `VM.end_block`: the same fields, and the block's transactions, which the receipts belong to."""

    height: int
    time_ns: int
    proposer: bytes
    extra: bytes
    parent_root: bytes
    chain_id: str
    tx_index: int  # the number of transactions
    txs: tuple[bytes, ...]
