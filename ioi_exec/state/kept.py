"""Transactions and receipts of versions that were committed with them: what `create(..., receipts=True)` keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

import ioi_storage
from ioi_storage import Body

from ioi_exec.block.header import decode_kept, hash_of
from ioi_exec.block.receipt import Receipt, Receipts
from ioi_exec.errors import StateCorrupt, VersionMissing


@dataclass(frozen=True)
class KeptBlock:
    """A block as it was committed: its transactions, and what became of each."""

    version: int
    height: int
    txs: list[bytes] = field(repr=False)
    receipts: Receipts


@dataclass(frozen=True)
class KeptTransaction:
    """index: where it stands in its block."""

    version: int
    height: int
    index: int
    tx: bytes
    receipt: Receipt


def body_of(txs: list[bytes], receipts: Receipts) -> Body:
    return Body(txs, receipts.blob, receipts.ends)


def kept_block(layer: ioi_storage.State, row: ioi_storage.VersionRow) -> KeptBlock:
    """Raises VersionMissing where it was not kept, StateCorrupt where it is not the block that was committed."""
    body = layer.body(row)
    if body is None:
        raise VersionMissing(
            f"version {row.version} (height {row.height}) has no receipts: they are kept of blocks that are committed with receipts=True "
            "(init --keep-receipts, run --keep-receipts), and do not come with a snapshot"
        )
    try:
        receipts = Receipts(body.outcomes, body.ends)
        is_same = receipts.root() == row.receipts_root
    except ValueError:
        is_same = False
    if not is_same or hash_of(body.txs) != decode_kept(row.header)[1]:
        raise StateCorrupt(f"the transactions or receipts of version {row.version} are not those that were committed: check the state")
    return KeptBlock(row.version, row.height, list(body.txs), receipts)


def kept_transactions(layer: ioi_storage.State, digest: bytes) -> list[KeptTransaction]:
    """Every time that it is in a kept block, ascending by version and index."""
    found = []
    for version, index in layer.places(digest):
        entry = layer.entry(version, index)
        if entry is None:
            raise StateCorrupt(f"transaction {index} of version {version} was noted and is not there: check the state")
        tx, outcome = entry
        receipt = Receipts(outcome, len(outcome).to_bytes(8, "little"))
        found.append(KeptTransaction(version, layer.version_row(version).height, index, tx, receipt[0]))
    return found
