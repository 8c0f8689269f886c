"""The messages of ABCI by the library of protobuf, from their text in CometBFT 0.38 with the names that they have here: what another
implementation says of the same bytes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

TEXT = """
Moment: int64 seconds = 1; int32 nanos = 2
PublicKey: bytes ed25519 = 1; bytes secp256k1 = 2
ValidatorPower: PublicKey public_key = 1; int64 power = 2; bytes key_bytes = 3; string key_type = 4
BlockParams: int64 max_bytes = 1; int64 max_gas = 2
EvidenceParams: int64 max_age_num_blocks = 1; Moment max_age_duration = 2; int64 max_bytes = 3
ValidatorParams: repeated string pub_key_types = 1
VersionParams: uint64 app = 1
ABCIParams: int64 vote_extensions_enable_height = 1
WrappedInt64: int64 value = 1
FeatureParams: WrappedInt64 vote_extensions_enable_height = 1
ConsensusParams: BlockParams block = 1; EvidenceParams evidence = 2; ValidatorParams validator = 3; VersionParams version = 4; ABCIParams abci = 5; FeatureParams feature = 7
Validator: bytes address = 1; int64 power = 3
Vote: Validator validator = 1; int32 block_id_flag = 3
LastCommit: int32 round = 1; repeated Vote votes = 2
ExtendedVote: Validator validator = 1; bytes vote_extension = 3; bytes extension_signature = 4; int32 block_id_flag = 5
ExtendedLastCommit: int32 round = 1; repeated ExtendedVote votes = 2
Misbehavior: int32 type = 1; Validator validator = 2; int64 height = 3; Moment time = 4; int64 total_voting_power = 5
Echo: string message = 1
InfoRequest: string version = 1; uint64 block_version = 2; uint64 p2p_version = 3; string abci_version = 4
InitChain: Moment time = 1; string chain_id = 2; ConsensusParams consensus_params = 3; repeated ValidatorPower validators = 4; bytes app_state_bytes = 5; int64 initial_height = 6
QueryRequest: bytes data = 1; string path = 2; int64 height = 3; bool prove = 4
CheckTx: bytes tx = 1; int32 type = 2; int32 kind = 3
Snapshot: uint64 height = 1; uint32 format = 2; uint32 chunks = 3; bytes hash = 4; bytes metadata = 5
OfferSnapshot: Snapshot snapshot = 1; bytes app_hash = 2
LoadSnapshotChunk: uint64 height = 1; uint32 format = 2; uint32 chunk = 3
ApplySnapshotChunk: uint32 index = 1; bytes chunk = 2; string sender = 3
Proposal: int64 max_tx_bytes = 1; repeated bytes txs = 2; ExtendedLastCommit last_commit = 3; repeated Misbehavior misbehavior = 4; int64 height = 5; Moment time = 6; bytes next_validators_hash = 7; bytes proposer_address = 8
Block: repeated bytes txs = 1; LastCommit last_commit = 2; repeated Misbehavior misbehavior = 3; bytes hash = 4; int64 height = 5; Moment time = 6; bytes next_validators_hash = 7; bytes proposer_address = 8
ExtendVote: bytes hash = 1; int64 height = 2
VerifyVoteExtension: bytes hash = 1; bytes validator_address = 2; int64 height = 3; bytes vote_extension = 4
Failure: string error = 1
Info: string data = 1; string version = 2; uint64 app_version = 3; int64 last_block_height = 4; bytes last_block_app_hash = 5
ChainBegun: ConsensusParams consensus_params = 1; repeated ValidatorPower validators = 2; bytes app_hash = 3
ProofOp: string type = 1; bytes key = 2; bytes data = 3
ProofOps: repeated ProofOp ops = 1
Answer: uint32 code = 1; string log = 3; string info = 4; int64 index = 5; bytes key = 6; bytes value = 7; ProofOps proof_ops = 8; int64 height = 9; string codespace = 10
Attribute: string key = 1; string value = 2; bool index = 3
EventMessage: string type = 1; repeated Attribute attributes = 2
TxResult: uint32 code = 1; bytes data = 2; string log = 3; string info = 4; int64 gas_wanted = 5; int64 gas_used = 6; repeated EventMessage events = 7; string codespace = 8
Committed: int64 retain_height = 3
Snapshots: repeated Snapshot snapshots = 1
Verdict: int32 status = 1
ChunkVerdict: int32 status = 1; bytes refetch_chunks = 2; repeated string reject_senders = 3
Chunk: bytes chunk = 1
Proposed: repeated bytes txs = 1
VoteExtension: bytes vote_extension = 1
Finalized: repeated EventMessage events = 1; repeated TxResult tx_results = 2; repeated ValidatorPower validator_updates = 3; ConsensusParams consensus_param_updates = 4; bytes app_hash = 5
LeafOp: int32 hash = 1; int32 prehash_key = 2; int32 prehash_value = 3; int32 length = 4; bytes prefix = 5
InnerOp: int32 hash = 1; bytes prefix = 2; bytes suffix = 3
ExistenceProof: bytes key = 1; bytes value = 2; LeafOp leaf = 3; repeated InnerOp path = 4
CommitmentProof: ExistenceProof exist = 1
"""

_FIELD = re.compile(r"(repeated )?(\w+) (\w+) = (\d+)")
_SCALARS = {"int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}  # FieldDescriptorProto.Type
_MESSAGE = 11


def declared() -> dict[str, list[tuple[bool, str, str, int]]]:
    """Of each message the fields: whether repeated, type, name, number."""
    found = {}
    for line in TEXT.strip().splitlines():
        name, _, rest = line.partition(":")
        found[name] = [(bool(many), kind, field, int(number)) for many, kind, field, number in _FIELD.findall(rest)]
    return found


@cache
def classes() -> dict[str, Any]:
    """The library's classes by name. Skips where it is not installed."""
    import pytest

    pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="abci.proto", package="abci", syntax="proto3")
    for name, parts in declared().items():
        message = file.message_type.add(name=name)
        for many, kind, field, number in parts:
            added = message.field.add(name=field, number=number, label=3 if many else 1, type=_SCALARS.get(kind, _MESSAGE))
            if kind not in _SCALARS:
                added.type_name = f".abci.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"abci.{name}")) for name in declared()}
