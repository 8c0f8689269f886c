"""Transactions and receipts of versions that were committed with them: what `create(..., receipts=True)` keeps."""

from __future__ import annotations

import struct
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
    if row.version == 0:
        raise VersionMissing("version 0 is the genesis, which is no block: it has no transactions and no receipts")
    body = layer.body(row)
    if body is None and row.has_body:
        raise StateCorrupt(f"the transactions and receipts of version {row.version} were committed and are not there: check the state")
    if body is None:
        raise VersionMissing(
            f"version {row.version} (height {row.height}) has no receipts: they are kept of blocks that are committed with receipts=True "
            "(init --keep-receipts, run --keep-receipts), and do not come with a snapshot"
        )
    receipts = _whole(body.outcomes, body.ends)
    if receipts is None or receipts.root() != row.receipts_root or hash_of(body.txs) != decode_kept(row.header)[1]:
        raise StateCorrupt(f"the transactions or receipts of version {row.version} are not those that were committed: check the state")
    return KeptBlock(row.version, row.height, list(body.txs), receipts)


def kept_transactions(layer: ioi_storage.State, digest: bytes) -> list[KeptTransaction]:
    """Every time that it is in a kept block, ascending by version and index."""
    found = []
    for version, index in layer.places(digest):
        entry = layer.entry(version, index)
        receipts = None if entry is None else _whole(entry[1], len(entry[1]).to_bytes(8, "little"))
        if entry is None or receipts is None:
            raise StateCorrupt(f"transaction {index} of version {version} was noted and is not there, or no receipt of it: check the state")
        found.append(KeptTransaction(version, layer.version_row(version).height, index, entry[0], receipts[0]))
    return found


def _whole(outcomes: bytes, ends: bytes) -> Receipts | None:
    """The receipts, each of which can be looked at; None if that is not so of one: whoever made the state wrote what is no receipt."""
    try:
        receipts = Receipts(outcomes, ends)
        receipts.root()
        for receipt in receipts:
            for _ in receipt.events:
                pass
        return receipts
    except (ValueError, AssertionError, LookupError, struct.error):
        return None
