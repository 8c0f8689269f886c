"""What a decoder under fuzzing is, and its inputs: those its encoder makes, and those kept in corpus/."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Decoder:
    """check(data): raises whatever is no documented error, and AssertionError where what was decoded is not so.

    holds: what it asserts, for people. seeds: whole inputs, made by the encoders of today. most: bytes of an input that the
    campaign tries."""

    name: str
    holds: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    most: int = 4096


def kept(name: str) -> list[bytes]:
    """The inputs of corpus/NAME.txt: a bytes literal a line; what begins with # is said of the next one."""
    file = CORPUS / f"{name}.txt"
    if not file.exists():
        return []
    return [ast.literal_eval(line) for line in file.read_text("ascii").splitlines() if not line.startswith("#")]


def inputs(decoder: Decoder) -> list[bytes]:
    return list(dict.fromkeys([*decoder.seeds(), *kept(decoder.name)]))


def mutated(data: bytes, others: list[bytes], rng: random.Random, count: int) -> Iterator[bytes]:
    """Small changes of an input: a bit, a byte, a number at its edge, a piece taken out, repeated, or put in from another."""
    for _ in range(count):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        end = min(end, at + 1 + rng.randrange(12))
        yield data[:at] + rng.choice((_flipped, _edge, _gone, _again, _spliced))(data[at:end], others, rng) + data[end:]


def _flipped(piece: bytes, _: list[bytes], rng: random.Random) -> bytes:
    bit = 1 << rng.randrange(8 * len(piece) or 1)
    return (int.from_bytes(piece, "big") ^ bit).to_bytes(len(piece) or 1, "big")


def _edge(piece: bytes, _: list[bytes], rng: random.Random) -> bytes:
    return rng.choice((b"\0", b"\x7f", b"\x80", b"\xff")) * (len(piece) or 1)


def _gone(piece: bytes, _: list[bytes], rng: random.Random) -> bytes:
    return b""


def _again(piece: bytes, _: list[bytes], rng: random.Random) -> bytes:
    return piece * rng.choice((2, 3, 50))


def _spliced(piece: bytes, others: list[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    at = rng.randrange(len(other) + 1)
    return other[at : at + 1 + rng.randrange(60)]
