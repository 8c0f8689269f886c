"""Receipts as CometBFT hashes them: the deterministic part of abci.ExecTxResult, in proto3's canonical form.

Source: cometbft proto/tendermint/abci/types.proto and types/results.go (code = 1 uint32, data = 2 bytes,
gas_wanted = 5 int64, gas_used = 6 int64; fields that are zero are left out).
"""

from __future__ import annotations

import struct
from array import array

_RECORD = struct.Struct("<IIIIQQ")


def receipt_leaves(blob: bytes, ends: bytes) -> tuple[bytes, bytes]:
    """The leaves of the receipts root: (leaves one after another, end of each as u64), from packed receipts."""
    leaves = bytearray()
    leaf_ends = array("Q")
    start = 0
    for end in memoryview(ends).cast("Q"):
        code, output_len, _, _, gas_wanted, gas_used = _RECORD.unpack_from(blob, start)
        if code:
            leaves += b"\x08" + _varint(code)
        if output_len:
            output_at = start + _RECORD.size
            leaves += b"\x12" + _varint(output_len) + blob[output_at : output_at + output_len]
        if gas_wanted:
            leaves += b"\x28" + _varint(gas_wanted)
        if gas_used:
            leaves += b"\x30" + _varint(gas_used)
        leaf_ends.append(len(leaves))
        start = end
    return bytes(leaves), leaf_ends.tobytes()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
