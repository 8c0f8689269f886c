"""What a block says of itself, beside its transactions: the `extra` of the header that the engine executes it under."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Mapping

from ethereum.crypto.hash import Hash32, keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes20
from ethereum_types.numeric import U64

from ioi_exec.block.header import EXTRA_BYTES, BlockHeader
from ioi_exec.errors import InputError
from ioi_exec.vm.ethereum.forks import CHAIN_ID, Fork, fork_named

RECENT_HASHES = 256
"""Of how many blocks before a contract can ask for the hash."""


class UnknownBlockHash(Exception):
    """BLOCKHASH of a block that the hash was not given of."""

    def __init__(self, number: int) -> None:
        super().__init__(f"the hash of block {number} is asked for, and not given (block_hashes)")
        self.number = number


class _BlockHashes:
    """Hashes of the blocks before, as the specification's list has them: [-1] is the parent's."""

    def __init__(self, number: int, hashes: Mapping[int, bytes]) -> None:
        self._number = number
        self._hashes = hashes

    def __getitem__(self, index: Any) -> Hash32:
        asked = self._number + int(index)
        if asked not in self._hashes:
            raise UnknownBlockHash(asked)
        return Hash32(self._hashes[asked])


@dataclass(frozen=True)
class Block:
    """header, uncles: the specification's Header, of the fork. withdrawals: its Withdrawal. hashes: of blocks before, by number; the
    parent's is known without. chain_id: of transactions that say one."""

    fork: Fork
    header: Any
    uncles: tuple[Any, ...] = ()
    withdrawals: tuple[Any, ...] = ()
    hashes: Mapping[int, bytes] = field(default_factory=dict)
    chain_id: int = CHAIN_ID

    @property
    def number(self) -> int:
        return int(self.header.number)

    @property
    def hash(self) -> bytes:
        return bytes(keccak256(rlp.encode(self.header)))

    def encode(self) -> bytes:
        """Raises InputError where it is too long for a header."""
        hashes = [[number.to_bytes(8, "big"), found] for number, found in sorted(self.hashes.items())]
        chain_id = self.chain_id.to_bytes(8, "big")
        data: bytes = rlp.encode([self.fork.name.encode(), chain_id, self.header, self.uncles, self.withdrawals, hashes])
        if len(data) > EXTRA_BYTES:
            raise InputError(f"what the block says beside its transactions has {len(data)} bytes: at most {EXTRA_BYTES}")
        return data

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """The inverse of `encode`. What is no block raises whatever finds it out."""
        return _decoded(data)

    def environment(self, state: Any, beneficiary: type = Bytes20) -> Any:
        """The specification's BlockEnvironment. beneficiary: the type of its coinbase."""
        header, number = self.header, self.number
        recent = {number: found for number, found in self.hashes.items() if 0 < self.number - number <= RECENT_HASHES}
        known = {
            "chain_id": U64(self.chain_id),
            "state": state,
            "block_gas_limit": header.gas_limit,
            "block_hashes": _BlockHashes(number, {**recent, number - 1: bytes(header.parent_hash)}),
            "coinbase": beneficiary(header.coinbase),
            "number": header.number,
            "time": header.timestamp,
        }
        for name in self.fork.environment - known.keys():
            known[name] = getattr(header, name)
        return self.fork.vm.BlockEnvironment(**known)


@lru_cache(maxsize=4)
def _decoded(data: bytes) -> Block:
    name, chain_id, header, uncles, withdrawals, hashes = rlp.decode(data)
    fork = fork_named(name.decode())
    blocks = fork.blocks
    return Block(
        fork,
        rlp.deserialize_to(blocks.Header, header),
        tuple(rlp.deserialize_to(blocks.Header, uncle) for uncle in uncles),
        tuple(rlp.deserialize_to(blocks.Withdrawal, withdrawal) for withdrawal in withdrawals),
        {int.from_bytes(number, "big"): found for number, found in hashes},
        int.from_bytes(chain_id, "big"),
    )


def header(block: Block) -> BlockHeader:
    """That the engine executes it under. Raises InputError."""
    return BlockHeader(
        height=block.number,
        time_ns=int(block.header.timestamp) * 10**9,
        proposer=bytes(block.header.coinbase),
        block_id=block.hash,
        extra=block.encode(),
    )
