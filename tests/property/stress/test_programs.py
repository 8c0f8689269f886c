"""Random programs and every workload: the VM in C equals the one in Python, any number of workers equals one by one.

IOI_SEED in the environment chooses another run.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import effort
import pytest
from program_fuzz import random_transactions, scans

from ioi_exec import ExecutionMachine, Limits, Receipt
from ioi_exec.execution.executors import SharedPools
from ioi_exec.testing import assert_serializable
from ioi_stress.vm import NativeProgram, Program
from ioi_stress.workload import Workload
from ioi_stress.workloads import WORKLOADS, make, parameters_of
from ioi_stress.workloads.base import Made

SEED = effort.seed(1)
WORKERS = (1, 2, 4)
TIGHT = Limits(key_bytes=16, value_bytes=100, tx_keys=3, tx_write_bytes=150, checkpoint_depth=1, output_bytes=31)
NARROW = Limits(key_bytes=16, value_bytes=100, tx_keys=3, tx_write_bytes=150, checkpoint_depth=1)


def outcome(
    vm: Any, genesis: Mapping[bytes, bytes], txs: Sequence[bytes], limits: Limits | None = None
) -> tuple[list[Receipt], Any]:
    """Receipts and writes."""
    with ExecutionMachine.create(None, vm, genesis=genesis, workers=0, limits=limits) as machine:
        result = machine.execute(txs)
        return list(result.receipts), result.writes


@pytest.mark.parametrize("limits", [None, TIGHT, NARROW])
@pytest.mark.parametrize("number", range(3))
def test_anything_is_the_same_in_both_vms(number: int, limits: Limits | None) -> None:
    txs = random_transactions(SEED * 1000 + number, 500)
    without = [tx for tx in txs if not scans(tx)]
    genesis = {b"account/%08d" % i: b"%d" % i for i in range(0, 30, 2)}
    found = outcome(NativeProgram, genesis, without, limits)
    assert found == outcome(Program, genesis, without, limits)
    assert len(without) > 150 and {receipt.code for receipt in found[0]} > ({1, 2} if limits else {1})
    refused, writes = outcome(NativeProgram, genesis, [tx for tx in txs if scans(tx)])
    assert {receipt.code for receipt in refused} == {3} and writes == []


@pytest.mark.parametrize("vm", [Program, NativeProgram])
@pytest.mark.parametrize("number", range(3))
def test_anything_is_the_same_on_any_number_of_workers(vm: type, number: int, ioi_pools: SharedPools) -> None:
    txs = random_transactions(SEED * 1000 + 100 + number, 250)
    assert_serializable(vm, {}, txs, workers=WORKERS, pools=ioi_pools)


def every_workload() -> list[tuple[str, str]]:
    found = []
    for name, cls in WORKLOADS.items():
        known = {each.name: each for each in parameters_of(cls)}
        if issubclass(cls, Made):
            found += [(name, vm) for vm in known["vm"].choices or ()]
    return found


def made(name: str, vm: str, **parameters: Any) -> Workload:
    if vm not in ("payments", "signed"):
        parameters["cost_us"] = 5
    if name != "mixed":
        parameters["failure_rate"] = 0.1
    return make(name, vm=vm, block_size=150, accounts=300, seed=SEED, **parameters)


@pytest.mark.parametrize(("name", "vm"), [(name, vm) for name in ("hot", "market") for vm in ("native", "python")])
def test_payments_that_are_added_on_any_number_of_workers(name: str, vm: str, ioi_pools: SharedPools) -> None:
    workload = made(name, vm, credit="add")
    (block,) = workload.blocks()
    assert_serializable(workload.vm, workload.genesis(), block.txs, workers=WORKERS, pools=ioi_pools)
    if vm == "native":
        assert outcome(NativeProgram, workload.genesis(), block.txs) == outcome(Program, workload.genesis(), block.txs)


@pytest.mark.parametrize(("name", "vm"), every_workload())
def test_every_workload_on_any_number_of_workers(name: str, vm: str, ioi_pools: SharedPools) -> None:
    workload = made(name, vm)
    (block,) = workload.blocks()
    assert_serializable(workload.vm, workload.genesis(), block.txs, workers=WORKERS, pools=ioi_pools)


@pytest.mark.parametrize("name", [name for name, vm in every_workload() if vm == "native"])
def test_every_workload_is_the_same_in_both_vms(name: str) -> None:
    workload = made(name, "native", blocks=2)
    genesis = workload.genesis()
    txs = [tx for block in workload.blocks() for tx in block.txs]
    assert outcome(NativeProgram, genesis, txs) == outcome(Program, genesis, txs)
