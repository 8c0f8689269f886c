"""What messages say of a transaction: bytes in hex, and never the same of two that differ."""

from __future__ import annotations

from dataclasses import replace

from ioi_exec import Receipt
from ioi_exec.block.wording import in_hex, receipt_text


def test_bytes_are_hex_and_cut_only_in_the_open() -> None:
    assert in_hex(b"") == "(empty)" and in_hex(b"k'\0") == "6b2700"
    assert in_hex(b"a" * 200) == "61" * 200 and in_hex(b"a" * 201) == "61" * 200 + "... (201 bytes)"


def test_receipts_that_differ_read_differently() -> None:
    one = Receipt(output=b"x", error="why")
    others = [replace(one, **change) for change in (
        {"code": 3}, {"output": b"y"}, {"output": b""}, {"error": "not"}, {"error": ""}, {"gas_wanted": 1}, {"gas_used": 1},
    )]
    assert len({receipt_text(each) for each in (one, *others)}) == len(others) + 1
    assert receipt_text(one) == "code 0, output 78, error 'why'"
