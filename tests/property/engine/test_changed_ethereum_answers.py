"""State tests with one thing changed, access lists with some bytes changed, and a node that answers one method with something else: refused in
words or judged, and never a fault of ours."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from changed_json import changed, places
from ethereum_node import StandIn
from evm_blocks import World, as_file, encoded, judge
from traced_blocks import traced

from ioi_exec import Error, InputError
from ioi_exec.ethereum.access_list import AccessList, make_access_list
from ioi_exec.ethereum.fetching import fetch
from ioi_exec.ethereum.rpc import Node
from ioi_exec.ethereum.state_tests import judge as judge_test
from ioi_exec.files.ethereum import file_from_json
from ioi_exec.files.state_tests import StateTest, read_state_tests
from ioi_exec.files.strict_json import Malformed, parse
from ioi_exec.vm.ethereum.forks import fork_named, forks

SAMPLE = Path(__file__).parents[2] / "e2e" / "ethereum" / "state_tests.json"
CHANGES = effort.amount("IOI_ETHEREUM_CHANGES", sample=60, many=1_000)

pytestmark = pytest.mark.sampled


def test_changed_state_tests() -> None:
    rng = random.Random(effort.seed(1))
    tests = json.loads(SAMPLE.read_text())
    came: Counter[str] = Counter()
    for _ in range(CHANGES):
        name = rng.choice(list(tests))
        value = {name: tests[name]}
        path = rng.choice([path for path in places(value) if len(path) > 1])
        try:
            found = list(read_state_tests(io.BytesIO(encoded(changed(value, path, rng))), "a"))
            came["equal" if all(judge_test(test).equal for test in found if isinstance(test, StateTest)) else "differs"] += 1
        except InputError as error:
            assert str(error).startswith("a: "), path
            came["refused"] += 1
    assert came["refused"] > CHANGES // 10 and came["differs"]


def test_changed_access_lists() -> None:
    rng = random.Random(effort.seed(1))
    made = World(forks()[-1], 1).made()
    found, _ = make_access_list(file_from_json(parse(encoded(as_file(made, judge(made))))))
    whole, refused = found.encode(), 0
    for _ in range(CHANGES):
        data = bytearray(whole)
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        try:
            AccessList.decode(bytes(data)).keys()
        except Malformed:
            refused += 1
    assert refused > CHANGES // 4


@pytest.mark.parametrize("name", ["homestead", "bpo2"])
def test_changed_answers_of_a_node(name: str) -> None:
    rng = random.Random(effort.seed(1))
    made = World(fork_named(name), 1).made()
    came: Counter[str] = Counter()
    with StandIn(made, traced(made)) as stand_in:
        wanted = stand_in.file["block"]["hash"][2:]
        for _ in range(CHANGES):
            method = rng.choice([name for name in stand_in.answers if name != "eth_blockNumber"])
            original = stand_in.answers[method]

            def answer(params: list[Any]) -> Any:
                value = {"result": original(params)}
                return changed(value, rng.choice(list(places(value))), rng).get("result")

            stand_in.answers[method] = answer
            try:
                with Node(stand_in.url, pause=0) as node:
                    found = fetch(node, stand_in.number, check=rng.random() < 0.7)
                assert found.file.block.hash.hex() == wanted
                came["equal" if found.equal else "differs"] += 1
            except Error:
                came["refused"] += 1
            stand_in.answers[method] = original
    assert came["refused"] > CHANGES // 10
