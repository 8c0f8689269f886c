"""Keys as people read them."""

from __future__ import annotations

import random

import pytest

from ioi_exec.vm.payments import account_key
from ioi_stress.notation.keys import of_text, readable, text


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"account/00000007", "account/00000007"),
        ("Zürich".encode(), "Zürich"),
        (b"\x00\x01\xff", "0x0001ff"),
        (b"a\nb", "0x610a62"),
        (b"0xab", "0x30786162"),
    ],
)
def test_readable(key: bytes, expected: str) -> None:
    assert readable(key) == expected


def test_accounts_and_long_keys_are_shortened_in_the_middle() -> None:
    address = bytes(range(0xA0, 0xC0))
    shown = readable(account_key(address))
    assert shown.startswith("acct/a0a1a2a3") and shown.endswith("bebf") and ".." in shown and len(shown) == 32
    assert readable(b"x" * 100, 20) == "x" * 12 + ".." + "x" * 6
    assert len(readable(b"\xff" * 200, 5)) == 12


def test_text_is_never_that_of_another_key() -> None:
    rng = random.Random(3)
    keys = {bytes(rng.choice(b"0x1a\n\xc3\xa4") for _ in range(rng.randrange(1, 6))) for _ in range(5_000)}
    assert len({text(key) for key in keys}) == len(keys)
    assert all(of_text(text(key)) == key for key in keys)


@pytest.mark.parametrize("shown", ["0x", "0xZZ", "0x61", "0xAB", "0xabc", "alice"])
def test_what_is_no_key_s_text_stands_for_itself(shown: str) -> None:
    assert of_text(shown) == shown.encode()
