"""Random integers that are the same on any machine, in any language: SHAKE-128 (FIPS 202) of a seed and a counter."""

from __future__ import annotations

import struct
from fractions import Fraction
from hashlib import shake_128

_WORDS = 1024
_FORMAT = struct.Struct(f"<{_WORDS}Q")


class Draws:
    """An endless sequence of 64-bit integers. Its n-th part (from 0) is the first 8,192 bytes of SHAKE-128 over the purpose,
    a slash and n in decimal, as little endian words."""

    def __init__(self, seed: int, *purpose: object) -> None:
        self._purpose = "/".join(map(str, (seed, *purpose))).encode()
        self._part = 0
        self._words: list[int] = []

    def word(self) -> int:
        """The next 64 bits."""
        if not self._words:
            stream = shake_128(b"%b/%d" % (self._purpose, self._part)).digest(8 * _WORDS)
            self._words = list(reversed(_FORMAT.unpack(stream)))
            self._part += 1
        return self._words.pop()

    def below(self, limit: int) -> int:
        """From 0 to limit - 1, each as likely as the others to within limit / 2^64."""
        return self.word() * limit >> 64


def chosen(share: Fraction, position: int, count: int, draws: Draws) -> list[bool]:
    """Which of `count` things are chosen, `position` of their kind having gone before.

    The share is kept exactly: of the first n things, over all calls, floor(n * share) are chosen wherever a call ends.
    """
    wanted = _floor(share * (position + count)) - _floor(share * position)
    if wanted == 0:
        return [False] * count
    picked = []
    for left in range(count, 0, -1):
        hit = draws.below(left) < wanted
        wanted -= hit
        picked.append(hit)
    return picked


def before(share: Fraction, position: int) -> int:
    """How many of the first `position` things `chosen` chooses."""
    return _floor(share * position)


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator


def distinct(draws: Draws, limit: int, count: int) -> list[int]:
    """`count` different numbers below `limit`, in random order: the beginning of a shuffle (Fisher and Yates)."""
    moved: dict[int, int] = {}
    picked = []
    for i in range(count):
        j = i + draws.below(limit - i)
        picked.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return picked
