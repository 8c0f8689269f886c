"""A decoder that is broken on purpose: whoever fuzzes must find out."""

from __future__ import annotations

from decoder import Decoder


def check(data: bytes) -> None:
    if data[:1] == b"B" and data[1:2] == b"U" and data[2:3] == b"G":
        raise KeyError("an error that is not documented")


PLANTED = Decoder("planted", "nothing", check, lambda: [b"nothing"])
