"""A block of Ethereum as a workload of ioi-stress."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ethereum", reason="pip install 'ioi-exec[ethereum]'")

from ethereum_types.numeric import Uint

import ioi_stress
from ioi_exec import Diverged, ExecutionMachine, InputError, Limits
from ioi_exec.execution.executors import SharedPools
from ioi_exec.files.ethereum import read_ethereum
from ioi_exec.vm.ethereum import LIMITS
from ioi_stress.chaos.plan import ChaosPlan
from ioi_stress.plan import Plan
from ioi_stress.running.state import created
from ioi_stress.workloads import make
from ioi_stress.workloads.ethereum import _confirmed

MAINNET = Path(__file__).parents[2] / "e2e" / "ethereum" / "930196.json.xz"


def test_it_is_the_files_block_on_its_pre_state() -> None:
    workload = make("ethereum", file=str(MAINNET))
    assert workload.parameters == {"file": str(MAINNET), "evm": "specification", "sha256": hashlib.sha256(MAINNET.read_bytes()).hexdigest()}
    (block,) = workload.blocks()
    assert len(block.txs) == 18 and block.header is not None and block.header.height == 930196
    assert len([key for key in workload.genesis() if key[:1] == b"a"]) == 21


def test_what_is_explained_is_verified() -> None:
    found = ioi_stress.explain("ethereum", file=str(MAINNET), workers=2, pin=False, repeat=1).to_json(3)
    assert found["transactions"] == 18


def test_it_is_replayed_as_recorded_blocks_are() -> None:
    workload, as_ethereum = make("replay", files=[str(MAINNET)]), make("ethereum", file=str(MAINNET))
    assert workload.parameters["vm"] == "ethereum" and workload.parameters["genesis"] is None
    assert workload.vm == as_ethereum.vm and workload.genesis() == as_ethereum.genesis()
    assert list(workload.blocks()) == list(as_ethereum.blocks())
    assert make("replay", files=[str(MAINNET)], vm="ethereum") == workload


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"files": [str(MAINNET)] * 2}, "2 files without --genesis"),
        ({"genesis": "a", "vm": "ethereum"}, "has its state with it"),
        ({"vm_args": "{}"}, "its VM no arguments"),
        ({"vm": "payments"}, "give --genesis FILE"),
        ({"files": ["setup.cfg"]}, "setup.cfg"),
    ],
)
def test_what_is_not_replayed(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        make("replay", **{"files": [str(MAINNET)], **given})


def test_its_results_are_held_against_its_header() -> None:
    workload = make("ethereum", file=str(MAINNET))
    (block,) = workload.blocks()
    with ExecutionMachine.create(None, workload.vm, genesis=workload.genesis(), initial_height=930196, workers=0) as machine:
        result = machine.execute(block.txs, block.header)
    assert block.confirm is not None
    assert block.confirm(result) == "mainnet block 930,196, found as in its header: gas used, logs bloom"
    with open(MAINNET, "rb") as stream:
        file = read_ethereum(stream, "file")
    other = replace(file, block=replace(file.block, header=replace(file.block.header, gas_used=Uint(7))))
    with pytest.raises(Diverged, match="block 930196: gas_used is 378000, and in its header 7"):
        _confirmed(other, result)
    recorded = ioi_stress.trace("ethereum", file=str(MAINNET), workers=1, pin=False)
    assert recorded.title.endswith("found as in its header: gas used, logs bloom")


def test_its_vm_has_the_limits_that_it_needs(ioi_pools: SharedPools) -> None:
    """There are blocks whose logs are larger than the engine allows otherwise."""
    for workload in (make("ethereum", file=str(MAINNET)), make("replay", files=[str(MAINNET)]), make("evm", accounts=2)):
        with created(workload, Plan(workers=0), ioi_pools, {}) as machine:
            assert machine.limits == LIMITS
        assert ChaosPlan(stall_seconds=7).limits(workload) == replace(LIMITS, stall_seconds=7)
    with created(make("pairs", block_size=2), Plan(workers=0), ioi_pools, {}) as machine:
        assert machine.limits == Limits()


def test_it_is_simulated_as_it_was_recorded() -> None:
    """Its beneficiary sends most transactions, so that they are one chain, but not over the fees."""
    found = ioi_stress.simulate(make("ethereum", file=str(MAINNET)), workers=(4,), seeds=1, costs=ioi_stress.Costs())
    assert found.transactions == 18 and 0 < found.path_ns <= found.sequential_ns


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(MAINNET.read_bytes()[:-9])
    with pytest.raises(InputError, match="it was cut"):
        make("ethereum", file=str(tmp_path / "a"))
