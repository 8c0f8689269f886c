"""Bytes that are no access list, and what one names."""

from __future__ import annotations

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")

from ioi_exec.ethereum.access_list import Accessed, AccessList
from ioi_exec.files.strict_json import Malformed
from ioi_exec.vm.ethereum.keys import account_key, storage_key

A, B, SLOT = b"\xaa" * 20, b"\xbb" * 20, bytes(31) + b"\x05"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xc1\xc0", b"\xc0\xc0", b"\xc3\xc2\x01\x02", b"\xff", b"hello", b"\xb8" * 9])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(Malformed, match="no access list"):
        AccessList.decode(data)


def test_encoding() -> None:
    """By address, slots that are changed before those that are read, numbers without leading zeros."""
    made = AccessList({B: Accessed({SLOT: [(0, 7), (2, 0)], bytes(32): []}, [(1, 300)], [(1, 2)], [(3, b"\x60")]), A: Accessed()})
    account = b"\x94" + B + b"\xc9\xc8\x05\xc6\xc2\x80\x07\xc2\x02\x80" + b"\xc1\x80" + b"\xc5\xc4\x01\x82\x01\x2c" + b"\xc3\xc2\x01\x02" + b"\xc3\xc2\x03\x60"
    first = b"\x94" + A + b"\xc0" * 5
    assert made.encode() == bytes([0xF8, len(first) + len(account) + 2, 0xC0 + len(first)]) + first + bytes([0xC0 + len(account)]) + account
    assert AccessList.decode(made.encode()) == made
    assert set(made.keys()) == {account_key(A), account_key(B), storage_key(B, SLOT), storage_key(B, bytes(32))}
