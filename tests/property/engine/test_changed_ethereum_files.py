"""A file of a block with one thing changed, wherever that is: refused in words, or still the same block."""

from __future__ import annotations

import io
import random

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from changed_json import changed, places
from evm_blocks import World, as_file, encoded, judge, receipts_of

from ioi_exec import InputError
from ioi_exec.files.ethereum import read_ethereum
from ioi_exec.vm.ethereum.forks import forks

CHANGES = effort.amount("IOI_ETHEREUM_CHANGES", sample=250, many=2_500)
pytestmark = pytest.mark.sampled


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
