"""What a transaction leaves behind, as the output of the engine's receipt, and Ethereum's receipts of a block made of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Sequence

from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes20, Bytes32
from ethereum_types.numeric import U64, Uint

from ioi_exec.vm.ethereum.forks import Fork


@dataclass(frozen=True)
class Outcome:
    """Of one transaction. succeeded: whether it ended without an error of the EVM's; of Byzantium and later in its receipt. logs: the
    specification's Log."""

    succeeded: bool
    gas_used: int
    blob_gas_used: int
    logs: tuple[Any, ...]

    def encode(self) -> bytes:
        data: bytes = rlp.encode([Uint(self.succeeded), Uint(self.gas_used), Uint(self.blob_gas_used), self.logs])
        return data

    @classmethod
    def decode(cls, fork: Fork, data: bytes) -> Outcome:
        """The inverse of `encode`."""
        succeeded, gas_used, blob_gas_used, logs = rlp.decode(data)
        return cls(
            bool(succeeded),
            int.from_bytes(gas_used, "big"),
            int.from_bytes(blob_gas_used, "big"),
            tuple(fork.blocks.Log(Bytes20(at), tuple(map(Bytes32, topics)), Bytes(data)) for at, topics, data in logs),
        )


@dataclass(frozen=True)
class Totals:
    """Of a block. output: the specification's BlockOutput, whose trie of receipts is empty before Byzantium."""

    output: Any
    gas_used: int
    blob_gas_used: int
    logs_bloom: bytes
    receipts_root: bytes | None
    """None before Byzantium: receipts have roots of states there."""


def logs_bloom(logs: Iterable[Any]) -> bytes:
    """Three bits of 2048 for each address and topic: the specification's function of this name, which takes milliseconds a log."""
    bits = 0
    for entry in {entry for log in logs for entry in (log.address, *log.topics)}:
        digest = keccak256(entry)
        for at in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 0x7FF)
    return bits.to_bytes(256, "big")


def block_output(fork: Fork, transactions: Sequence[Any], outcomes: Iterable[Outcome]) -> Any:
    """The specification's BlockOutput of transactions that came to these outcomes."""
    output = fork.vm.BlockOutput()
    for index, (transaction, outcome) in enumerate(zip(transactions, outcomes)):
        output.block_gas_used += Uint(outcome.gas_used)
        output.block_logs += outcome.logs
        if outcome.blob_gas_used:
            output.blob_gas_used += U64(outcome.blob_gas_used)
        if fork.has_status:
            receipt = fork.blocks.Receipt(
                succeeded=outcome.succeeded, cumulative_gas_used=output.block_gas_used, bloom=fork.blocks.Bloom(logs_bloom(outcome.logs)),
                logs=outcome.logs,
            )
            if hasattr(fork.blocks, "encode_receipt"):  # with the type of its transaction, from Berlin on
                receipt = fork.blocks.encode_receipt(transaction, receipt)
            key = rlp.encode(Uint(index))
            output.receipt_keys += (key,)
            fork.trie.trie_set(output.receipts_trie, key, receipt)
    return output


def totals(fork: Fork, transactions: Sequence[Any], outcomes: Iterable[Outcome]) -> Totals:
    """What a header says of a block's receipts."""
    output = block_output(fork, transactions, outcomes)
    return Totals(
        output,
        int(output.block_gas_used),
        int(getattr(output, "blob_gas_used", 0)),
        logs_bloom(output.block_logs),
        bytes(fork.trie.root(output.receipts_trie)) if fork.has_status else None,
    )
