"""What CometBFT's RPC answers with, as its version 0.38 writes it: hashes and addresses in upper-case hex, other bytes in base64, int64 as text."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any, Iterable

from ioi_exec.block.event import Event
from ioi_exec.block.receipt import Receipt
from ioi_exec.node.block_header import BLOCK_PROTOCOL, BlockId, Header, PartSetHeader, address
from ioi_exec.node.consensus import Consensus
from ioi_exec.node.ledger import LedgerBlock
from ioi_exec.node.messages import (
    Answer,
    BlockParams,
    ConsensusParams,
    EventMessage,
    EvidenceParams,
    Moment,
    ProofOps,
    PublicKey,
    TxResult,
    ValidatorParams,
)
from ioi_exec.node.results import check_result, event_message

_KEY_TYPES = {"ed25519": "tendermint/PubKeyEd25519", "secp256k1": "tendermint/PubKeySecp256k1"}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def hex_of(data: bytes) -> str:
    return data.hex().upper()


def result_object(receipt: Receipt) -> dict[str, Any]:
    """Of CheckTx, and of a transaction in a block."""
    result: TxResult = check_result(receipt)
    return {
        "code": result.code, "data": base64_of(result.data) if result.data else None, "log": result.log, "info": result.info,
        "gas_wanted": str(result.gas_wanted), "gas_used": str(result.gas_used), "events": [_event(each) for each in result.events],
        "codespace": result.codespace,
    }


def event_objects(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [_event(event_message(event)) for event in events]


def _event(event: EventMessage) -> dict[str, Any]:
    attributes = [{"key": each.key, "value": each.value, "index": each.index} for each in event.attributes]
    return {"type": event.type, "attributes": attributes}


def header_object(header: Header) -> dict[str, Any]:
    return {
        "version": {"block": str(BLOCK_PROTOCOL), **({"app": str(header.app_version)} if header.app_version else {})},
        "chain_id": header.chain_id, "height": str(header.height), "time": time_text(header.time_ns),
        "last_block_id": id_object(header.last_block_id), "last_commit_hash": hex_of(header.last_commit_hash),
        "data_hash": hex_of(header.data_hash), "validators_hash": hex_of(header.validators_hash),
        "next_validators_hash": hex_of(header.next_validators_hash), "consensus_hash": hex_of(header.consensus_hash),
        "app_hash": hex_of(header.app_hash), "last_results_hash": hex_of(header.last_results_hash),
        "evidence_hash": hex_of(header.evidence_hash), "proposer_address": hex_of(header.proposer),
    }


def id_object(id: BlockId) -> dict[str, Any]:
    parts = id.parts or PartSetHeader()
    return {"hash": hex_of(id.hash), "parts": {"total": parts.total, "hash": hex_of(parts.hash)}}


def block_object(block: LedgerBlock) -> dict[str, Any]:
    header = block.header
    return {
        "block_id": id_object(BlockId(block.hash, PartSetHeader())),
        "block": {
            "header": header_object(header), "data": {"txs": [base64_of(tx) for tx in block.txs]}, "evidence": {"evidence": []},
            "last_commit": {
                "height": str(header.height - 1 if header.last_block_id.hash else 0), "round": 0, "block_id": id_object(header.last_block_id),
                "signatures": [],
            },
        },
    }


def query_object(answer: Answer) -> dict[str, Any]:
    return {
        "code": answer.code, "log": answer.log, "info": answer.info, "index": str(answer.index),
        "key": base64_of(answer.key) if answer.key else None, "value": base64_of(answer.value) if answer.value else None,
        "proofOps": None if answer.proof_ops is None else _proof(answer.proof_ops), "height": str(answer.height), "codespace": answer.codespace,
    }


def _proof(proof: ProofOps) -> dict[str, Any]:
    return {"ops": [{"type": op.type, "key": base64_of(op.key), "data": base64_of(op.data)} for op in proof.ops]}


def validator_objects(consensus: Consensus) -> list[dict[str, Any]]:
    """The greatest power first, then by address."""
    found = [(each.public_key or PublicKey(), each.power) for each in consensus.validators]
    ordered = sorted(found, key=lambda each: (-each[1], address(each[0])))
    return [
        {"address": hex_of(address(key)), "pub_key": key_object(key), "voting_power": str(power), "proposer_priority": "0"} for key, power in ordered
    ]


def key_object(key: PublicKey) -> dict[str, str]:
    return {"type": _KEY_TYPES[key.kind], "value": base64_of(key.raw)}


def params_object(params: ConsensusParams) -> dict[str, Any]:
    block, evidence = params.block or BlockParams(), params.evidence or EvidenceParams()
    validator, version, abci = params.validator or ValidatorParams(), params.version, params.abci
    return {
        "block": {"max_bytes": str(block.max_bytes), "max_gas": str(block.max_gas)},
        "evidence": {
            "max_age_num_blocks": str(evidence.max_age_num_blocks), "max_age_duration": str((evidence.max_age_duration or Moment()).ns),
            "max_bytes": str(evidence.max_bytes),
        },
        "validator": {"pub_key_types": list(validator.pub_key_types)},
        "version": {"app": str(version.app)} if version is not None and version.app else {},
        "abci": {"vote_extensions_enable_height": str(abci.vote_extensions_enable_height if abci is not None else 0)},
    }


def time_text(ns: int) -> str:
    """RFC 3339 in UTC, as Go writes it: no zeros at the end of the fraction."""
    seconds, rest = divmod(ns, 10**9)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}{fraction}Z"
