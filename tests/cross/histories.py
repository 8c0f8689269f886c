"""Long random histories for trees: what to put and remove in each version, drawn so that histories differ in kind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Optional

Version = list[tuple[bytes, Optional[bytes]]]
"""(key, value or None to remove it), ascending by key."""

LONGEST_KEY = 256


def history(seed: int, versions: int = 40, most_keys: int = 2000) -> Iterator[Version]:
    """The first version removes nothing, so that it can be a genesis."""
    rng = random.Random(seed)
    keys = sorted(_keys(rng, rng.choice([1, 2, 3, 8, 40, 300, most_keys])))
    value = _values(rng)
    kinds = rng.choices(list(_KINDS), k=rng.randint(1, len(_KINDS)))  # what this history is made of
    state: dict[bytes, bytes] = {}
    for number in range(versions):
        kind = _grow if number == 0 else rng.choice(kinds)
        writes = kind(rng, keys, state, value)
        for key, new in writes.items():
            if new is None:
                state.pop(key, None)
            else:
                state[key] = new
        yield sorted(writes.items())


# ---- keys and values ----


def _keys(rng: random.Random, count: int) -> set[bytes]:
    kind = rng.choice(["hashes", "numbers", "lengths", "prefixes", "nested", "decimal", "bits"])
    common = [rng.randbytes(rng.randint(20, LONGEST_KEY - 3)) for _ in range(rng.randint(1, 4))]
    keys = {b"69235", b"95303"} if rng.random() < 0.2 else set()  # the first 32 bits of their SHA-256 are equal
    for i in range(count):
        if kind == "hashes":
            keys.add(rng.randbytes(32))
        elif kind == "numbers":
            keys.add(i.to_bytes(4, "big"))
        elif kind == "lengths":
            keys.add(rng.randbytes(rng.randint(1, LONGEST_KEY)))
        elif kind == "prefixes":
            keys.add(rng.choice(common) + rng.randbytes(rng.randint(0, 3)))
        elif kind == "nested":  # each begins with those before it
            keys.add(common[0][: 1 + i % len(common[0])] + b"\0" * min(i // len(common[0]), 3))
        elif kind == "decimal":
            keys.add(b"account/%d" % i)
        else:
            keys.add((1 << i % 2048).to_bytes(LONGEST_KEY, "big"))
    return keys


def _values(rng: random.Random) -> Callable[[], bytes]:
    kind = rng.choice(["short", "same", "empty or not", "any", "big"])
    same = rng.randbytes(24)
    if kind == "same":
        return lambda: same
    lengths = {"short": [24], "empty or not": [0, 1], "any": [0, 1, 31, 32, 33, 55, 56, 63, 64, 65, 300]}
    lengths["big"] = [24] * 40 + [5000, 1 << 16]
    return lambda: rng.randbytes(rng.choice(lengths[kind]))


# ---- kinds of version: the writes of one, given all keys and the state before ----

Writes = dict[bytes, Optional[bytes]]
Value = Callable[[], bytes]


def _some(rng: random.Random, keys: list[bytes]) -> list[bytes]:
    return rng.sample(keys, min(len(keys), rng.choice([1, 1, 2, 5, 30, 200, len(keys)])))


def _grow(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    return {key: value() for key in _some(rng, keys)}


def _overwrite(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    return {key: rng.choice([state[key], value()]) for key in _some(rng, sorted(state))}


def _rewrite(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    """The values that are there already."""
    return {key: state[key] for key in _some(rng, sorted(state))}


def _churn(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    removed = rng.choice([0.1, 0.5, 0.9])
    return {key: None if rng.random() < removed else value() for key in _some(rng, keys)}


def _shrink(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    return {key: None for key in _some(rng, sorted(state))}


def _absent(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    """Removes what is not there, some of it just beside what is."""
    beside = [(key + b"\0")[-LONGEST_KEY:] for key in _some(rng, keys)]
    return {key: None for key in beside + _some(rng, keys) if key not in state}


def _run(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    """Neighbours, all put or all removed."""
    begin = rng.randrange(len(keys))
    remove = rng.random() < 0.5
    return {key: None if remove else value() for key in keys[begin : begin + rng.choice([2, 10, 100, len(keys)])]}


def _empty(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    """All is removed, sometimes but for one key, or one put anew."""
    writes: Writes = {key: None for key in state}
    if rng.random() < 0.4:
        writes[rng.choice(keys)] = value()
    return writes


def _nothing(rng: random.Random, keys: list[bytes], state: dict[bytes, bytes], value: Value) -> Writes:
    return {}


_KINDS = (_grow, _overwrite, _rewrite, _churn, _churn, _shrink, _absent, _run, _empty, _nothing)
