"""Which signatures are good is a rule of the consensus: here it is fixed by edge cases of each of its parts.

The vectors are those of ed25519-speccheck (Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs, 2020), and RFC 8032's.
"""

from __future__ import annotations

import pytest

from ioi_exec import InputError, InputTypeError
from ioi_exec.vm import signatures

nacl = pytest.importorskip("nacl")

EDGES = [
    (
        "A and R of small order, S = 0",
        False,
        "2a66241a42a9ee12994d8068dcf1bb7dfc6637b45450acd43711f637fa5080fc",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "A and R of small order, S = 0, another message",
        False,
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "A of small order, R mixed",
        False,
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    (
        "A of small order, R mixed, another message",
        False,
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    (
        "R of small order, A mixed",
        False,
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "182ef1a5b928da07fec769cc8a12db6bcf70dab3f3227fa315e9d5e3e01a3405",
    ),
    (
        "R of small order, A mixed, another message",
        False,
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    (
        "A and R mixed: holds without cofactor too",
        True,
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ),
    (
        "A and R mixed: holds with cofactor alone",
        False,
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ),
    (
        "holds with cofactor alone, and if 8 k is not reduced",
        False,
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    ),
    (
        "S above L",
        False,
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
    ),
    (
        "S far above L",
        False,
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
    ),
    (
        "R not canonical, of small order, hashed as it is",
        False,
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
    ),
    (
        "R not canonical, of small order, hashed reduced",
        False,
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
    ),
    (
        "A not canonical, of small order, hashed as it is",
        False,
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    (
        "A not canonical, of small order, hashed reduced",
        False,
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
]
L = (1 << 252) + 27742317777372353535851937790883648493


def opens(message: bytes, public: bytes, signature: bytes, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Of the message as it is."""
    monkeypatch.setattr(signatures, "signed_bytes", lambda chain_id, payload: payload)
    return signatures.is_signed(public, "", message, signature)


@pytest.mark.parametrize("what, good, message, public, signature", EDGES, ids=[edge[0] for edge in EDGES])
def test_edges(what: str, good: bool, message: str, public: str, signature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opens(bytes.fromhex(message), bytes.fromhex(public), bytes.fromhex(signature), monkeypatch) == good


def test_rfc_8032(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert signatures.public_key(secret) == public
    assert opens(b"\xaf\x82", public, signature, monkeypatch)
    assert signatures.sign(secret, "", b"\xaf\x82") == signature
    same = int.from_bytes(signature[32:], "little") + L  # the same number, and another signature
    assert not opens(b"\xaf\x82", public, signature[:32] + same.to_bytes(32, "little"), monkeypatch)


def test_what_is_signed() -> None:
    assert signatures.signed_bytes("ch-1", b"pay") == b"ioi-exec transaction\x00\x04ch-1pay"
    assert signatures.signed_bytes("", b"") == b"ioi-exec transaction\x00\x00"


def test_a_signature_is_of_one_chain_one_payload_and_one_key() -> None:
    secret, other = b"s" * 32, b"o" * 32
    public, signature = signatures.public_key(secret), signatures.sign(secret, "main", b"pay")
    assert signatures.is_signed(public, "main", b"pay", signature)
    assert not signatures.is_signed(public, "test", b"pay", signature)
    assert not signatures.is_signed(public, "mai", b"npay", signature)
    assert not signatures.is_signed(public, "main", b"Pay", signature)
    assert not signatures.is_signed(signatures.public_key(other), "main", b"pay", signature)
    for at in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not signatures.is_signed(public, "main", b"pay", bytes(changed))
    assert not signatures.is_signed(public, "main", b"y", signature + b"pa")
    assert not signatures.is_signed(public[:31], "main", b"pay", signature)


def test_secrets_that_are_none() -> None:
    with pytest.raises(InputError, match="has 3 bytes: give 32"):
        signatures.public_key(b"abc")
    with pytest.raises(InputTypeError, match="give bytes"):
        signatures.sign(bytearray(32), "", b"")  # type: ignore[arg-type]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nacl.bindings", None)
    signatures.library.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'ioi-exec\[signed\]'"):
        signatures.is_signed(bytes(32), "", b"", bytes(64))
