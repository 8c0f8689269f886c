"""The messages of ABCI 2.0 as `tendermint.abci` and `tendermint.types` of CometBFT 0.38 have them, as far as they are used here, and the
fields that only `cometbft.abci.v1` of CometBFT 1.0 has (dialects.py)."""

from __future__ import annotations

from dataclasses import dataclass

from ioi_exec.node.wire import (
    flag,
    int32,
    int64,
    many,
    many_octets,
    many_texts,
    message,
    octets,
    text,
    uint32,
    uint64,
)

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Moment:
    """A timestamp, or a duration."""

    seconds: int = int64(1)
    nanos: int = int32(2)

    @property
    def ns(self) -> int:
        return self.seconds * NANOSECONDS + self.nanos

    @classmethod
    def of(cls, ns: int) -> Moment:
        return cls(*divmod(ns, NANOSECONDS))


@dataclass(frozen=True)
class PublicKey:
    """One of them."""

    ed25519: bytes = octets(1)
    secp256k1: bytes = octets(2)

    @property
    def kind(self) -> str:
        return "secp256k1" if self.secp256k1 else "ed25519"

    @property
    def raw(self) -> bytes:
        return self.secp256k1 or self.ed25519


@dataclass(frozen=True)
class ValidatorPower:
    """In CometBFT: ValidatorUpdate. key_bytes, key_type: 1.0's, in the place of public_key."""

    public_key: PublicKey | None = message(1, PublicKey)
    power: int = int64(2)
    key_bytes: bytes = octets(3)
    key_type: str = text(4)


@dataclass(frozen=True)
class BlockParams:
    max_bytes: int = int64(1)
    max_gas: int = int64(2)


@dataclass(frozen=True)
class EvidenceParams:
    max_age_num_blocks: int = int64(1)
    max_age_duration: Moment | None = message(2, Moment)
    max_bytes: int = int64(3)


@dataclass(frozen=True)
class ValidatorParams:
    pub_key_types: tuple[str, ...] = many_texts(1)


@dataclass(frozen=True)
class VersionParams:
    app: int = uint64(1)


@dataclass(frozen=True)
class ABCIParams:
    vote_extensions_enable_height: int = int64(1)


@dataclass(frozen=True)
class WrappedInt64:
    """google.protobuf.Int64Value."""

    value: int = int64(1)


@dataclass(frozen=True)
class FeatureParams:
    vote_extensions_enable_height: WrappedInt64 | None = message(1, WrappedInt64)


@dataclass(frozen=True)
class ConsensusParams:
    """feature: 1.0's, in the place of abci."""

    block: BlockParams | None = message(1, BlockParams)
    evidence: EvidenceParams | None = message(2, EvidenceParams)
    validator: ValidatorParams | None = message(3, ValidatorParams)
    version: VersionParams | None = message(4, VersionParams)
    abci: ABCIParams | None = message(5, ABCIParams)
    feature: FeatureParams | None = message(7, FeatureParams)


@dataclass(frozen=True)
class Validator:
    address: bytes = octets(1)
    power: int = int64(3)


@dataclass(frozen=True)
class Vote:
    """block_id_flag: 1 absent, 2 for the block, 3 for none."""

    validator: Validator | None = message(1, Validator)
    block_id_flag: int = int32(3)


@dataclass(frozen=True)
class LastCommit:
    round: int = int32(1)
    votes: tuple[Vote, ...] = many(2, Vote)


@dataclass(frozen=True)
class ExtendedVote:
    validator: Validator | None = message(1, Validator)
    vote_extension: bytes = octets(3)
    extension_signature: bytes = octets(4)
    block_id_flag: int = int32(5)


@dataclass(frozen=True)
class ExtendedLastCommit:
    round: int = int32(1)
    votes: tuple[ExtendedVote, ...] = many(2, ExtendedVote)


@dataclass(frozen=True)
class Misbehavior:
    """type: 1 duplicate vote, 2 attack on light clients."""

    type: int = int32(1)
    validator: Validator | None = message(2, Validator)
    height: int = int64(3)
    time: Moment | None = message(4, Moment)
    total_voting_power: int = int64(5)


@dataclass(frozen=True)
class Echo:
    message: str = text(1)


@dataclass(frozen=True)
class Nothing:
    """A message without fields: Flush, Commit, ListSnapshots."""


@dataclass(frozen=True)
class InfoRequest:
    version: str = text(1)
    block_version: int = uint64(2)
    p2p_version: int = uint64(3)
    abci_version: str = text(4)


@dataclass(frozen=True)
class InitChain:
    time: Moment | None = message(1, Moment)
    chain_id: str = text(2)
    consensus_params: ConsensusParams | None = message(3, ConsensusParams)
    validators: tuple[ValidatorPower, ...] = many(4, ValidatorPower)
    app_state_bytes: bytes = octets(5)
    initial_height: int = int64(6)


@dataclass(frozen=True)
class QueryRequest:
    data: bytes = octets(1)
    path: str = text(2)
    height: int = int64(3)
    prove: bool = flag(4)


@dataclass(frozen=True)
class CheckTx:
    """type: 1 is a recheck. kind: 1.0's in its place: 1 is a recheck, 2 none."""

    tx: bytes = octets(1)
    type: int = int32(2)
    kind: int = int32(3)

    @property
    def again(self) -> bool:
        return 1 in (self.type, self.kind)


@dataclass(frozen=True)
class Snapshot:
    height: int = uint64(1)
    format: int = uint32(2)
    chunks: int = uint32(3)
    hash: bytes = octets(4)
    metadata: bytes = octets(5)


@dataclass(frozen=True)
class OfferSnapshot:
    snapshot: Snapshot | None = message(1, Snapshot)
    app_hash: bytes = octets(2)


@dataclass(frozen=True)
class LoadSnapshotChunk:
    height: int = uint64(1)
    format: int = uint32(2)
    chunk: int = uint32(3)


@dataclass(frozen=True)
class ApplySnapshotChunk:
    index: int = uint32(1)
    chunk: bytes = octets(2)
    sender: str = text(3)


@dataclass(frozen=True)
class Proposal:
    """PrepareProposal: what a block may be made of."""

    max_tx_bytes: int = int64(1)
    txs: tuple[bytes, ...] = many_octets(2)
    last_commit: ExtendedLastCommit | None = message(3, ExtendedLastCommit)
    misbehavior: tuple[Misbehavior, ...] = many(4, Misbehavior)
    height: int = int64(5)
    time: Moment | None = message(6, Moment)
    next_validators_hash: bytes = octets(7)
    proposer_address: bytes = octets(8)


@dataclass(frozen=True)
class Block:
    """ProcessProposal and FinalizeBlock alike."""

    txs: tuple[bytes, ...] = many_octets(1)
    last_commit: LastCommit | None = message(2, LastCommit)
    misbehavior: tuple[Misbehavior, ...] = many(3, Misbehavior)
    hash: bytes = octets(4)
    height: int = int64(5)
    time: Moment | None = message(6, Moment)
    next_validators_hash: bytes = octets(7)
    proposer_address: bytes = octets(8)


@dataclass(frozen=True)
class ExtendVote:
    hash: bytes = octets(1)
    height: int = int64(2)


@dataclass(frozen=True)
class VerifyVoteExtension:
    hash: bytes = octets(1)
    validator_address: bytes = octets(2)
    height: int = int64(3)
    vote_extension: bytes = octets(4)


# Answers.


@dataclass(frozen=True)
class Failure:
    """Instead of any answer. The node ends itself."""

    error: str = text(1)


@dataclass(frozen=True)
class Info:
    data: str = text(1)
    version: str = text(2)
    app_version: int = uint64(3)
    last_block_height: int = int64(4)
    last_block_app_hash: bytes = octets(5)


@dataclass(frozen=True)
class ChainBegun:
    """InitChain's answer. validators: none: those of the genesis."""

    consensus_params: ConsensusParams | None = message(1, ConsensusParams)
    validators: tuple[ValidatorPower, ...] = many(2, ValidatorPower)
    app_hash: bytes = octets(3)


@dataclass(frozen=True)
class ProofOp:
    type: str = text(1)
    key: bytes = octets(2)
    data: bytes = octets(3)


@dataclass(frozen=True)
class ProofOps:
    ops: tuple[ProofOp, ...] = many(1, ProofOp)


@dataclass(frozen=True)
class Answer:
    """Query's."""

    code: int = uint32(1)
    log: str = text(3)
    info: str = text(4)
    index: int = int64(5)
    key: bytes = octets(6)
    value: bytes = octets(7)
    proof_ops: ProofOps | None = message(8, ProofOps)
    height: int = int64(9)
    codespace: str = text(10)


@dataclass(frozen=True)
class Attribute:
    key: str = text(1)
    value: str = text(2)
    index: bool = flag(3)


@dataclass(frozen=True)
class EventMessage:
    type: str = text(1)
    attributes: tuple[Attribute, ...] = many(2, Attribute)


@dataclass(frozen=True)
class TxResult:
    """Of CheckTx, and of a transaction of FinalizeBlock."""

    code: int = uint32(1)
    data: bytes = octets(2)
    log: str = text(3)
    info: str = text(4)
    gas_wanted: int = int64(5)
    gas_used: int = int64(6)
    events: tuple[EventMessage, ...] = many(7, EventMessage)
    codespace: str = text(8)


@dataclass(frozen=True)
class Committed:
    retain_height: int = int64(3)


@dataclass(frozen=True)
class Snapshots:
    snapshots: tuple[Snapshot, ...] = many(1, Snapshot)


@dataclass(frozen=True)
class Verdict:
    """A number: 1 accepts, what others mean depends on the request."""

    status: int = int32(1)


@dataclass(frozen=True)
class ChunkVerdict:
    """Of ApplySnapshotChunk. refetch_chunks: packed, as proto3 has numbers."""

    status: int = int32(1)
    refetch_chunks: bytes = octets(2)
    reject_senders: tuple[str, ...] = many_texts(3)


@dataclass(frozen=True)
class Chunk:
    chunk: bytes = octets(1)


@dataclass(frozen=True)
class Proposed:
    txs: tuple[bytes, ...] = many_octets(1)


@dataclass(frozen=True)
class VoteExtension:
    vote_extension: bytes = octets(1)


# ProofOps' insides: what ics23 calls them.


@dataclass(frozen=True)
class LeafOp:
    hash: int = int32(1)
    prehash_key: int = int32(2)
    prehash_value: int = int32(3)
    length: int = int32(4)
    prefix: bytes = octets(5)


@dataclass(frozen=True)
class InnerOp:
    hash: int = int32(1)
    prefix: bytes = octets(2)
    suffix: bytes = octets(3)


@dataclass(frozen=True)
class ExistenceProof:
    key: bytes = octets(1)
    value: bytes = octets(2)
    leaf: LeafOp | None = message(3, LeafOp)
    path: tuple[InnerOp, ...] = many(4, InnerOp)


@dataclass(frozen=True)
class CommitmentProof:
    exist: ExistenceProof | None = message(1, ExistenceProof)
