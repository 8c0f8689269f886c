"""State tests made from a seed, in every fork: the VM comes to the state root and the logs that the specification's own tool comes to, and
refuses what that refuses."""

from __future__ import annotations

import io
import json

import effort
import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")
pytest.importorskip("coincurve")

from state_tests import FORKS, made_test

from ioi_exec.ethereum.state_tests import judge
from ioi_exec.files.state_tests import StateTest, read_state_tests
from ioi_exec.vm.ethereum.forks import Fork, fork_named

SEEDS = effort.seeds("IOI_ETHEREUM_SEEDS", sample=1, many=5)

pytestmark = pytest.mark.sampled


@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_specification_s_own_tool(seed: int) -> None:
    for fork in FORKS if effort.long else FORKS[::3]:
        check(fork, seed)


def test_a_beneficiary_that_gets_nothing() -> None:
    """Is not there afterwards, from EIP-161 on: gas for nothing, and no reward in a state test."""
    check(fork_named("byzantium"), 3)


def check(fork: Fork, seed: int) -> None:
    (*tests,) = read_state_tests(io.BytesIO(json.dumps({"made": made_test(fork, seed)}).encode()), "made")
    assert len(tests) == 3
    for test in tests:
        assert isinstance(test, StateTest) and test.fork == fork
        judged = judge(test)
        assert judged.equal, (fork.name, test.indexes, judged.compared, judged.refused, test.exception)
