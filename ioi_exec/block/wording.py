"""What a transaction came to, in messages: bytes are hex there, whatever is in them."""

from __future__ import annotations

from ioi_exec.block.receipt import Receipt

_SHOWN_MOST = 200  # bytes of a value


def in_hex(data: bytes) -> str:
    if not data:
        return "(empty)"
    return data.hex() if len(data) <= _SHOWN_MOST else f"{data[:_SHOWN_MOST].hex()}... ({len(data)} bytes)"


def receipt_text(receipt: Receipt) -> str:
    """All of it, so that two that differ never read alike."""
    gas = f", gas {receipt.gas_used} of {receipt.gas_wanted}" if receipt.gas_used or receipt.gas_wanted else ""
    error = f", error {receipt.error!r}" if receipt.error else ""
    refused = ", refused by ante" if receipt.refused else ""
    events = f", events {receipt.events}" if receipt.packed_events else ""
    return f"code {receipt.code}, output {in_hex(receipt.output)}{gas}{error}{refused}{events}"
