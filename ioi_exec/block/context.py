"""What a block, a transaction and a hook know about where they are. All of it is immutable."""

from __future__ import annotations

import hashlib
import struct
from random import Random
from typing import NamedTuple, Sequence

from ioi_shm import charge, emit, gas_left

from ioi_exec.arguments import octets
from ioi_exec.block.decided import Misbehaviour, Vote
from ioi_exec.block.event import Value
from ioi_exec.block.hook import Hook


class BlockContext(NamedTuple):
    """The header of the block being executed, with its height decided."""

    height: int
    time_ns: int
    proposer: bytes  # b"" if none
    extra: bytes
    parent_root: bytes  # 32 bytes
    block_id: bytes
    chain_id: str = ""  # what the state was created with; "" if nothing
    votes: tuple[Vote, ...] = ()
    misbehaviour: tuple[Misbehaviour, ...] = ()

    def of_transaction(self, tx_index: int) -> TxContext:
        return TxContext(
            self.height, self.time_ns, self.proposer, self.extra, self.parent_root, self.chain_id, self.votes, self.misbehaviour, tx_index
        )

    def of_begin(self, hook: Hook) -> BeginContext:
        return BeginContext(
            self.height, self.time_ns, self.proposer, self.extra, self.parent_root, self.chain_id, self.votes, self.misbehaviour, hook
        )

    def of_end(self, txs: Sequence[bytes]) -> EndContext:
        return EndContext(
            self.height, self.time_ns, self.proposer, self.extra, self.parent_root, self.chain_id, self.votes, self.misbehaviour, len(txs),
            tuple(txs),
        )


class TxContext(NamedTuple):
    """`ctx` of `VM.ante` and `VM.execute`."""

    height: int
    time_ns: int  # nanoseconds since 1970, as the header says; never this machine's clock
    proposer: bytes  # b"" if none
    extra: bytes
    parent_root: bytes  # 32 bytes: the root the block stands on
    chain_id: str  # what the state was created with; "" if nothing
    votes: tuple[Vote, ...]  # of the block before, as the node that drives the chain was told; else empty
    misbehaviour: tuple[Misbehaviour, ...]
    tx_index: int

    def charge(self, amount: int) -> None:
        """Use so much gas, beside what the operations on `state` cost: for what the VM computes. If there is not so much left, the
        transaction ends here, whatever the VM catches: it has failed with the code 11 and used its limit. Where the state has no
        schedule, nothing happens. A negative amount is a ValueError."""
        charge(amount)

    @property
    def gas_left(self) -> int | None:
        """How much gas there is; None where the state has no schedule."""
        return gas_left()

    def emit(self, name: str, /, **attributes: Value) -> None:
        """Add an event to the transaction, with attributes in the order they are given. What undoes its writes undoes it too.

        Names are 1 to 255 bytes of UTF-8, integers have at most 256 bits. Raises LimitExceeded beyond 64 attributes or, for all events
        of the transaction, 1 MiB; ValueError and TypeError for what cannot be."""
        emit(name, attributes)


    def random(self, label: bytes = b"") -> Random:
        """A generator seeded by the root that the block stands on, its height, the transaction's index and `label`: the same on every
        node, and another for each of these. Who sends a transaction knows it before, if the parent's root is known."""
        return _seeded(self.parent_root, self.height, self.tx_index, label)


class EndContext(NamedTuple):
    """`ctx` of `VM.end_block`: the same fields, and the block's transactions, which the receipts belong to."""

    height: int
    time_ns: int
    proposer: bytes
    extra: bytes
    parent_root: bytes
    chain_id: str
    votes: tuple[Vote, ...]
    misbehaviour: tuple[Misbehaviour, ...]
    tx_index: int  # the number of transactions
    txs: tuple[bytes, ...]

    def emit(self, name: str, /, **attributes: Value) -> None:
        """Add an event to the block; as in a transaction."""
        emit(name, attributes)

    def random(self, label: bytes = b"") -> Random:
        """As in a transaction; its index is the number of transactions."""
        return _seeded(self.parent_root, self.height, self.tx_index, label)


class BeginContext(NamedTuple):
    """`ctx` of `VM.begin_block` and `VM.migrate`: the same fields, without transactions."""

    height: int
    time_ns: int
    proposer: bytes
    extra: bytes
    parent_root: bytes
    chain_id: str
    votes: tuple[Vote, ...]
    misbehaviour: tuple[Misbehaviour, ...]
    hook: Hook

    def emit(self, name: str, /, **attributes: Value) -> None:
        """Add an event to the block; as in a transaction."""
        emit(name, attributes)

    def random(self, label: bytes = b"") -> Random:
        """As in a transaction, and other numbers than any of them has."""
        return _seeded(self.parent_root, self.height, 2**64 - self.hook, label)


def _seeded(parent_root: bytes, height: int, tx_index: int, label: bytes) -> Random:
    # Lengths are fixed but for the last, so no two of them run together.
    seed = b"ioi-exec random\0" + struct.pack(">B32sQQ", 1, parent_root, height, tx_index) + octets("random: the label", label)
    return Random(hashlib.sha256(seed).digest())
