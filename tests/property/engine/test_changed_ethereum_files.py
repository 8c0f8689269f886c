"""A file of a block with one thing changed, wherever that is: refused in words, or still the same block."""

from __future__ import annotations

import copy
import io
import random
from typing import Any, Iterator

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from evm_blocks import World, as_file, encoded, judge, receipts_of

from ioi_exec import InputError
from ioi_exec.files.ethereum import read_ethereum
from ioi_exec.vm.ethereum.forks import forks

CHANGES = effort.amount("IOI_ETHEREUM_CHANGES", sample=250, many=2_500)
JUNK = [
    None, True, 0, -1, 1, 10**30, "", "0x", "0x0", "0x1", "0X0", "0x00", "zz", "1", "9" * 79, "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "ab" * 20,
    "0x" + "ab" * 32, "0x" + "ab" * 33, "\ud800", "é", [], [[]], {}, {"": ""}, [None], {"0x0": "0x0"}, ["0x" + "ab" * 20],
]

pytestmark = pytest.mark.sampled


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inside:
        yield (*path, name)
        yield from places(part, (*path, name))


def changed(value: Any, path: tuple[Any, ...], rng: random.Random) -> Any:
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


def test_a_change_is_refused_or_none() -> None:
    rng = random.Random(effort.seed(1))
    files = []
    for fork in (forks()[0], forks()[-1]):
        made = World(fork, 3).made()
        made.transactions = made.transactions[:4]
        judged = judge(made)
        files.append(as_file(made, judged, **({"receipts": receipts_of(made, judged)} if fork.has_status else {})))
    refused = 0
    for _ in range(CHANGES):
        value = rng.choice(files)
        whole = read_ethereum(io.BytesIO(encoded(value)), "a")
        path = rng.choice(list(places(value)))
        try:
            read = read_ethereum(io.BytesIO(encoded(changed(value, path, rng))), "a")
        except InputError as error:
            assert str(error).startswith("a: "), path
            refused += 1
            continue
        assert (read.block.header, read.transactions, read.block.withdrawals) == (whole.block.header, whole.transactions, whole.block.withdrawals), path
    assert refused > CHANGES // 4
