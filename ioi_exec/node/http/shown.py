"""What /v1 answers with, as JSON: bytes in hex, numbers that may pass 2^53 as decimal strings then."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Iterable

from ioi_exec.block.event import Event, Value
from ioi_exec.block.receipt import Receipt
from ioi_exec.files.strict_json import written
from ioi_exec.node.ledger import LedgerBlock
from ioi_exec.node.messages import ProofOps
from ioi_exec.state.kept import KeptTransaction


def receipt_object(receipt: Receipt) -> dict[str, Any]:
    return {
        "ok": receipt.ok, "code": receipt.code, "output": receipt.output.hex(), "error": receipt.error,
        "gas_wanted": written(receipt.gas_wanted), "gas_used": written(receipt.gas_used), "refused": receipt.refused,
        "events": event_objects(receipt.events),
    }


def event_objects(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [{"name": event.name, "attributes": [[name, _value(value)] for name, value in event.attributes]} for event in events]


def block_object(block: LedgerBlock) -> dict[str, Any]:
    info = block.info
    return {
        "height": written(info.height), "version": info.version, "time_ns": str(block.header.time_ns), "hash": block.hash.hex(),
        "app_hash": block.app_hash.hex(), "state_root": info.state_root.hex(), "receipts_root": info.receipts_root.hex(),
        "proposer": block.header.proposer.hex(), "transactions": info.transactions, "failed": info.failed, "vm": info.vm.name,
        "vm_version": info.vm.version,
    }


def whole_block_object(block: LedgerBlock, events: Iterable[Event]) -> dict[str, Any]:
    """events: of its hooks."""
    txs = [
        {"hash": sha256(tx).hexdigest(), "tx": tx.hex(), "index": index, "receipt": receipt_object(receipt)}
        for index, (tx, receipt) in enumerate(zip(block.txs, block.receipts))
    ]
    return {**block_object(block), "txs": txs, "events": event_objects(events)}


def kept_object(hash: bytes, kept: KeptTransaction, *, tx: bool = False) -> dict[str, Any]:
    return {
        "hash": hash.hex(), **({"tx": kept.tx.hex()} if tx else {}), "height": written(kept.height), "index": kept.index,
        "receipt": receipt_object(kept.receipt),
    }


def proof_object(proof: ProofOps) -> dict[str, Any]:
    return {"ops": [{"type": op.type, "key": op.key.hex(), "data": op.data.hex()} for op in proof.ops]}


def _value(value: Value) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {"text": value} if isinstance(value, str) else {"int": str(value)}
