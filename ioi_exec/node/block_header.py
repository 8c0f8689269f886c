"""The header of CometBFT's blocks and its hash, for a chain whose blocks are made here (types/block.go, types/validator_set.go and
types/params.go of CometBFT 0.38): the Merkle root (RFC 6962, SHA-256) of its 14 fields, each as protobuf."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from hashlib import sha256
from typing import Sequence

import ioi_storage

from ioi_exec.node.consensus import Consensus
from ioi_exec.node.messages import BlockParams, Moment, PublicKey
from ioi_exec.node.wire import encode, int64, message, octets, text, uint32, uint64

BLOCK_PROTOCOL = 11
ADDRESS_BYTES = 20
NOTHING = sha256(b"").digest()
"""The Merkle root of no leaves."""


@dataclass(frozen=True)
class Version:
    block: int = uint64(1)
    app: int = uint64(2)


@dataclass(frozen=True)
class PartSetHeader:
    total: int = uint32(1)
    hash: bytes = octets(2)


@dataclass(frozen=True)
class BlockId:
    hash: bytes = octets(1)
    parts: PartSetHeader | None = message(2, PartSetHeader)


@dataclass(frozen=True)
class _Bytes:
    value: bytes = octets(1)


@dataclass(frozen=True)
class _Text:
    value: str = text(1)


@dataclass(frozen=True)
class _Number:
    value: int = int64(1)


@dataclass(frozen=True)
class _Validator:
    public_key: PublicKey | None = message(1, PublicKey)
    power: int = int64(2)


@dataclass(frozen=True)
class _HashedParams:
    max_bytes: int = int64(1)
    max_gas: int = int64(2)


@dataclass(frozen=True)
class Header:
    """Hashes and addresses are bytes; an empty one is none."""

    app_version: int
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer: bytes

    def hash(self) -> bytes:
        """32 bytes."""
        hashes = (
            self.last_commit_hash, self.data_hash, self.validators_hash, self.next_validators_hash, self.consensus_hash, self.app_hash,
            self.last_results_hash, self.evidence_hash, self.proposer,
        )
        return merkle_root([
            encode(Version(BLOCK_PROTOCOL, self.app_version)), encode(_Text(self.chain_id)), encode(_Number(self.height)),
            encode(Moment.of(self.time_ns)), encode(self.last_block_id), *(encode(_Bytes(value)) for value in hashes),
        ])


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    ends, end = array("Q"), 0
    for leaf in leaves:
        end += len(leaf)
        ends.append(end)
    return ioi_storage.receipts_merkle_root(b"".join(leaves), ends.tobytes())


def data_hash(txs: Sequence[bytes]) -> bytes:
    return merkle_root([sha256(tx).digest() for tx in txs])


def validators_hash(consensus: Consensus) -> bytes:
    """In CometBFT's order: the greatest power first, then by address."""
    ordered = sorted(consensus.validators, key=lambda each: (-each.power, address(each.public_key)))
    return merkle_root([encode(_Validator(each.public_key, each.power)) for each in ordered])


def consensus_hash(consensus: Consensus) -> bytes:
    block = (consensus.params.block if consensus.params is not None else None) or BlockParams()
    return sha256(encode(_HashedParams(block.max_bytes, block.max_gas))).digest()


def address(key: PublicKey | None) -> bytes:
    """20 bytes. Of a key of secp256k1, whose address takes RIPEMD-160, which OpenSSL may lack, it is made as of the others: a chain whose
    blocks are made here has none unless its VM gives one power."""
    return sha256(key.raw if key is not None else b"").digest()[:ADDRESS_BYTES]
