"""A value of JSON with one thing changed, wherever that is."""

from __future__ import annotations

import copy
import random
from typing import Any, Iterator

JUNK = [
    None, True, 0, -1, 1, 10**30, "", "0x", "0x0", "0x1", "0X0", "0x00", "zz", "1", "9" * 79, "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "ab" * 20,
    "0x" + "ab" * 32, "0x" + "ab" * 33, "\ud800", "é", [], [[]], {}, {"": ""}, [None], {"0x0": "0x0"}, ["0x" + "ab" * 20],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all that is in a value of JSON."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inside:
        yield (*path, name)
        yield from places(part, (*path, name))


def changed(value: Any, path: tuple[Any, ...], rng: random.Random) -> Any:
    """A copy with what is at the path gone, something else, or by one digit another."""
    value = copy.deepcopy(value)
    at = value
    for name in path[:-1]:
        at = at[name]
    name = path[-1]
    match rng.randrange(4):
        case 0:
            del at[name]
        case 1 if isinstance(at[name], str) and len(at[name]) > 2:
            where = rng.randrange(2, len(at[name]))
            at[name] = at[name][:where] + rng.choice("0123456789abcdefx") + at[name][where + 1 :]
        case 2 if isinstance(at, list):
            at.insert(name, copy.deepcopy(rng.choice(at)))
        case _:
            at[name] = rng.choice(JUNK)
    return value
