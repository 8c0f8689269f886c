"""Blocks of random programs, from a seed alone."""

from __future__ import annotations

import json
import random
from typing import Any

from program_vm import Program, key

from ioi_exec import GasSchedule, Policy

# Steps and how often they occur in a block of each temper.
TEMPERS = {
    "mixed": dict(get=6, exists=3, put=5, derive=6, delete=3, scan=4, open=1, next=2, checkpoint=2, attempt=1, when=4, revert=1, fail=1, misuse=1, add=2),
    "reads": dict(get=12, exists=6, put=1, derive=2, delete=1, scan=3, when=3),
    "writes": dict(get=2, put=6, derive=10, delete=6, when=2, checkpoint=2),
    "scans": dict(get=1, derive=6, put=3, delete=5, scan=10, open=3, next=6, when=2),
    "undo": dict(get=4, derive=6, delete=3, checkpoint=8, attempt=3, when=3, scan=2, fail=2, revert=1),
    "counting": dict(add=24, fill=2, get=2, exists=2, delete=1, scan=1, checkpoint=3, when=2, revert=1),
    "tallies": dict(add=40, get=1, scan=1, when=1),
    "spending": dict(charge=6, fuel=3, stubborn=4, get=4, exists=1, put=3, derive=4, delete=2, scan=3, open=1, next=2, checkpoint=3, attempt=2, add=2),
    "failing": dict(get=6, derive=6, delete=2, when=4, fail=3, revert=3, misuse=3, attempt=2, scan=1),
}
SHAPES = ([8, 0, 8], [8, 0, 8], [8, 0, 8], [8, 0, 8], [2, 0, 8], [3, 5, 8], [4, 0, 4])
"""Of counters: width, offset, size."""
FILLED = (bytes(8), bytes(7) + b"\3", bytes(2) + b"\1" + bytes(5), b"more")
"""Values that most of them, or few, can be in."""


class Author:
    """Writes programs over `keys` keys."""

    def __init__(self, rng: random.Random, keys: int, temper: str) -> None:
        self.rng = rng
        self.keys = keys
        self.names = list(TEMPERS[temper])
        self.weights = list(TEMPERS[temper].values())

    def transaction(self) -> bytes:
        program = self.program(self.rng.choice((1, 2, 3, 5, 8)), 0)
        if self.rng.random() < 0.01:
            program.insert(0, ["undecodable", self.rng.randrange(2)])
        return json.dumps(program, separators=(",", ":")).encode()

    def program(self, steps: int, depth: int) -> Program:
        return [self.step(name, depth) for name in self.rng.choices(self.names, self.weights, k=steps)]

    def step(self, name: str, depth: int) -> list[Any]:
        rng = self.rng
        if name in ("checkpoint", "attempt", "stubborn", "when", "scan") and depth > 3:
            name = "get"
        number = rng.randrange(self.keys) if rng.random() < 0.8 else -1
        if name in ("get", "exists", "delete"):
            return [name, number]
        if name == "put":
            return [name, number, rng.choice(("", "v", "w", "longer" * 3))]
        if name == "fill":
            return ["put", number, rng.choice(FILLED).decode()]
        if name == "add":
            most = rng.choice((None, None, None, 3, 40, 2**50))
            return [name, number, rng.choice((0, 1, 1, 2, 5, 300, 2**45, -1, -1, -4, -(2**45))), rng.choice(SHAPES), most]
        if name == "derive":
            return [name, number, rng.choice((2, 3, 7))]
        if name == "scan":
            body = self.program(rng.choice((1, 2)), depth + 2) if rng.random() < 0.4 else []
            return [name, self.bounds(), rng.choice((1, 2, 3, 100)), body]
        if name == "open":
            return [name, rng.randrange(2), self.bounds()]
        if name == "next":
            return [name, rng.randrange(2)]
        if name == "checkpoint":
            return [name, self.program(rng.choice((1, 2, 4)), depth + 1), rng.random() < 0.4]
        if name == "charge":
            return [name, rng.choice((0, 1, 7, 30, 200, 2**70))]
        if name == "fuel":
            return [name]
        if name in ("attempt", "stubborn"):
            return [name, self.program(rng.choice((1, 2)), depth + 1)]
        if name == "when":
            return [name, rng.choice((2, 2, 3)), self.program(rng.choice((1, 2, 3)), depth + 1), self.program(rng.choice((0, 1)), depth + 1)]
        if name == "revert":
            return [name, rng.choice((1, 2, 7, 0))]
        return [name, rng.randrange(100)]

    def bounds(self) -> dict[str, Any]:
        rng = self.rng
        bounds: dict[str, Any] = {}
        kind = rng.random()
        if kind < 0.3:
            bounds["prefix"] = rng.choice(("a", "b", "a0", "", key(rng.randrange(self.keys)).decode()))
        elif kind < 0.9:
            if rng.random() < 0.7:
                bounds["start"] = rng.choice(("", "a", key(rng.randrange(self.keys)).decode(), key(rng.randrange(self.keys)).decode()[:2]))
            if rng.random() < 0.7:
                bounds["end"] = rng.choice(("b", "zz", key(rng.randrange(self.keys)).decode(), key(rng.randrange(self.keys)).decode() + "x"))
        if rng.random() < 0.4:
            bounds["reverse"] = True
        if rng.random() < 0.3:
            bounds["limit"] = rng.choice((0, 1, 2, 5))
        return bounds


def random_state(rng: random.Random, keys: int) -> dict[bytes, bytes]:
    fullness = rng.choice((0.0, 0.3, 0.9))
    return {key(i): rng.choice((b"", b"base", b"base%d" % i, *FILLED)) for i in range(keys) if rng.random() < fullness}


def random_begin(rng: random.Random, keys: int) -> list[Program] | None:
    """What `begin_block` does, in a third of all states."""
    author = Author(rng, keys, rng.choice(list(TEMPERS)))
    return [author.program(rng.choice((1, 3, 6)), 0) for _ in range(3)] if rng.random() < 0.35 else None


def random_gas(rng: random.Random) -> GasSchedule | None:
    """Half of the time none; else one that some transactions run out of, or none does."""
    if rng.random() < 0.5:
        return None
    costs = {name: rng.choice((0, 1, 3, 20)) for name in ("flat", "get", "put", "delete", "scan", "read_byte", "written_byte")}
    return GasSchedule(**costs, tx_limit=rng.choice((20, 60, 150, 400, 10**6)), block_limit=rng.choice((None, 100)))


def random_policy(rng: random.Random) -> Policy:
    """A named one, or each choice by itself."""
    if rng.random() < 0.5:
        return Policy.named(rng.choice(Policy.names()))
    return Policy(
        estimates=rng.random() < 0.6,
        validation=rng.choice(("value", "version")),
        window=rng.choice((None, None, 0, 1, 2, 5, 40)),
        run=rng.choice((None, None, 1, 3, 64)),
        solo=rng.random() < 0.6,
        small_block=rng.choice((0, 1, 5, 20)),
    )


def random_block(rng: random.Random, keys: int) -> list[bytes]:
    """2 to 60 transactions. Some blocks repeat one program many times: everything is hot."""
    size = rng.choice((2, 3, 5, 8, 12, 20, 30, 60))
    author = Author(rng, keys, rng.choice(list(TEMPERS)))
    if rng.random() < 0.2:
        few = [author.transaction() for _ in range(3)]
        return [rng.choice(few) for _ in range(size)]
    return [author.transaction() for _ in range(size)]
